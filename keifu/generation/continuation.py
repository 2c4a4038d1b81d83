"""From prompts to texts: a language model goes on with them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keifu.data.batches import Sequences, cut, length_mask
from keifu.generation.sampling import Drawn, Sampling, sample
from keifu.generation.search import Head
from keifu.generation.window import steps_for
from keifu.tasks.language_modeling import LanguageModeling
from keifu.text import Tokenizer

_MOST_READ = 2**16  # tokens of prompts that are read together, where one prompt alone is not longer
_UNDECIDED = "\ufffd"  # what stands for a character of which not all bytes are written yet


@dataclass(frozen=True)
class Continued:
    """A prompt and the text that goes on from it, with its token ids and the log-probability of each (nats, in the
    model's own distribution). complete: whether the model ended it itself.
    """

    prompt: str
    text: str
    tokens: list[int]
    complete: bool
    logprobs: list[float]

    @property
    def whole(self) -> str:
        return self.prompt + self.text


def continue_texts(
    model: Any,
    head: Head,
    task: LanguageModeling,
    prompts: Sequence[str],
    settings: Sampling,
    seed: int = 0,
    on_text: Callable[[int, str], None] = lambda place, text: None,
) -> list[Continued]:
    """What the model writes after each prompt; an empty one begins a text.

    The n-th text draws with dice of its own, from the seed and n. A text may be longer than what the model reads
    together; it then goes on from the latest part (generation/window.py). on_text: is told which text goes on and with
    what, as soon as characters are whole.
    """
    found: dict[int, Continued] = {}
    tokenizer = task.tokenizer
    device = next(model.parameters()).device
    for places in _together(tokenizer, prompts, settings.batch_size):
        some = [prompts[place] for place in places]
        dice = [np.random.default_rng([seed, place]) for place in places]
        writers = [_Writer(tokenizer, prompt) for prompt in some]
        different = {text: place for place, text in enumerate(dict.fromkeys(some))}  # each is read once
        read = Sequences([tokenizer.bos_id, *tokenizer.encode(text)] for text in different)
        prompt = read.padded(np.arange(len(read)), tokenizer.pad_id).to(device)
        mask = length_mask(read.lengths).to(device)
        steps = steps_for(model, int(read.lengths.max()) + settings.max_tokens - 1, task.lead)
        state, prompt_of = steps.start(len(read)), [different[text] for text in some]
        options = (settings, dice, tokenizer.eos_id, task.never_written, prompt_of)
        for step in sample(steps.step, head, state, prompt, mask, *options):
            for place, writer, drawn in zip(places, writers, step, strict=True):
                if piece := writer.take(drawn):
                    on_text(place, piece)
        for place, writer in zip(places, writers, strict=True):
            if rest := writer.rest():
                on_text(place, rest)
            found[place] = writer.result()
    return [found[place] for place in range(len(prompts))]


def _together(tokenizer: Tokenizer, prompts: Sequence[str], most: int) -> Iterator[list[int]]:
    """The places of prompts that are gone on with together, of like length, so that one long one does not pad many."""
    lengths = np.array([len(ids) + 1 for ids in tokenizer.encode_batch(prompts)])
    for rows in cut(np.argsort(lengths, kind="stable"), lengths, _MOST_READ):
        for begin in range(0, len(rows), most):
            yield rows[begin : begin + most].tolist()


class _Writer:
    """One text that grows."""

    def __init__(self, tokenizer: Tokenizer, prompt: str) -> None:
        self._tokenizer, self._prompt = tokenizer, prompt
        self.ids = tokenizer.encode(prompt)
        self._before = len(self.ids)  # tokens of the prompt
        # Decoding from a little before what is new is as good as from the start, and takes no longer as the text grows.
        self._from, self._said = 0, self._before
        self._text, self._complete = "", False
        self._logprobs: list[float] = []

    def take(self, drawn: Drawn | None) -> str:
        """Adds a token, None at the end; returns the characters that have become whole."""
        if drawn is None:
            self._complete = True
            return ""
        self.ids.append(drawn.token)
        self._logprobs.append(drawn.logprob)
        piece = self.rest()
        if not piece or piece.endswith(_UNDECIDED):
            return ""
        self._from, self._said = self._said, len(self.ids)
        self._text += piece
        return piece

    def result(self) -> Continued:
        """The whole text."""
        tokens = self.ids[self._before :]
        return Continued(self._prompt, self._text + self.rest(), tokens, self._complete, self._logprobs)

    def rest(self) -> str:
        """The text of the tokens that have not been given. Bytes that make no character are shown as U+FFFD."""
        before, new = self.ids[self._from : self._said], self.ids[self._said :]
        known = self._tokenizer.decode(before)
        if before and not known:  # unknown words; a text would begin without its space
            before = [self._tokenizer.vocab_size - 1]
            known = self._tokenizer.decode(before)
        whole = self._tokenizer.decode(before + new)
        # Bytes that make no character take the characters before them with them where these are spelt by bytes too.
        return whole[len(known) :] if whole.startswith(known) else self._tokenizer.decode(new)
