"""A loaded language model: go on with a text, measure one, look inside."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from keifu.config import validate
from keifu.data.batches import from_right_padded, to_right_padded
from keifu.data.pairs import Form
from keifu.data.texts import load_text
from keifu.errors import CheckpointError, ConfigError
from keifu.generation.continuation import Continued, continue_texts
from keifu.generation.sampling import Sampling
from keifu.interface import TokenBatch
from keifu.layers.alone import compile_for_one
from keifu.session.model import Model, one_by_one, pooled, read_sections
from keifu.tasks.language_modeling import MOST_TOGETHER, LanguageModeling, refuse_looking_ahead, scores
from keifu.text import Tokenizer
from keifu.trace import Edit, Recorded, Recorder, Trace, bound
from keifu.views.experts import expert_load

_READINGS = ("documents", "stream")


def _cause(error: Exception) -> str:
    """What a compiler complains of first, or the first line of what is said."""
    lines = str(getattr(error, "inner_exception", error)).splitlines() or [type(error).__name__]
    return next((line for line in lines if "error: " in line), lines[0]).strip()


class LanguageModel(Model):
    """A trained language model, ready to use."""

    uses = ("generate", "embed", "evaluate")
    head_of_one: Callable[[Tensor], Tensor] | None = None
    """The head as a text that is written alone takes it, if it has been compiled."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        reading = config.get("reading", "documents")
        if reading not in _READINGS:
            raise CheckpointError(f"{path}/config.json: reading {reading!r}; expected {' or '.join(_READINGS)}")
        sections = read_sections(path, config, {"decoding": Sampling})
        self.decoding: Sampling = sections["decoding"]
        try:
            refuse_looking_ahead(sections["model"])
        except ConfigError as error:
            raise CheckpointError(f"{path}/config.json: {error}") from None
        super().__init__(path, sections["model"], tensors, tokenizer, LanguageModeling(tokenizer, reading))

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        *,
        samples: int = 1,
        seed: int = 0,
        details: bool = False,
        on_text: Callable[[int, str], None] = lambda place, text: None,
        **sampling: Any,
    ) -> Any:
        """A text that begins with the prompt; of a list of prompts, a list. An empty prompt begins a text of its own.

        samples: texts for each prompt; above 1, each prompt gives a list. seed: the same one gives the same texts.
        sampling: max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, batch_size; what is not given is as
        the model was trained to be used. details=True gives `Continued` objects (prompt, text, tokens, complete,
        logprobs).
        on_text: is told, as soon as it is known, which text goes on (they are counted prompt by prompt) and with what.
        Raises ConfigError.
        """
        if samples < 1:
            raise ConfigError(f"samples {samples}: expected at least 1")
        if seed < 0:
            raise ConfigError(f"seed {seed}: expected 0 or more")
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        settings = self.sampling_with(**sampling)
        every = [one for one in prompts for _ in range(samples)]
        found = continue_texts(self.network, self.head_of_one or self.head, self.task, every, settings, seed, on_text)
        texts: list[Continued | str] = [one if details else one.whole for one in found]
        if samples == 1:
            return texts[0] if isinstance(prompt, str) else texts
        grouped = [texts[begin : begin + samples] for begin in range(0, len(texts), samples)]
        return grouped[0] if isinstance(prompt, str) else grouped

    def to(self, device: str | torch.device = "auto", precision: str = "fp32") -> "LanguageModel":
        """As `Model.to`; what was compiled has to be compiled again."""
        self._forget_compiled()
        super().to(device, precision)
        return self

    def compile(self) -> "LanguageModel":
        """Compiles what writes a single text, which takes some seconds and then is faster; several texts together are
        written as before. The last digits come out otherwise, so that a text that is written alone may differ from the
        same one among others. For a `gpt` or `llama` on a CPU. Returns the model.

        Raises ConfigError, also where there is no C++ compiler.
        """
        if not hasattr(self.network, "compiled_block"):
            raise ConfigError(f"a {self.model_config.name} cannot be compiled, gpt and llama can; leave --compile away")
        if self.device.type != "cpu":
            raise ConfigError(f"models are compiled for CPUs alone, found {self.device}; add --device cpu")
        self._forget_compiled()
        try:
            self.head_of_one = compile_for_one(self.network, self.head)
        except (RuntimeError, OSError) as error:
            needed = "a C++ compiler, Python's headers (g++, python3-dev) and a folder for $TORCHINDUCTOR_CACHE_DIR"
            remedy = f"it takes {needed}; or leave --compile away"
            raise ConfigError(f"the model cannot be compiled: {_cause(error)}; {remedy}") from None
        return self

    def _forget_compiled(self) -> None:
        if hasattr(self.network, "compiled_block"):
            self.network.compiled_block = None
        self.head_of_one = None

    def sampling_with(self, **values: Any) -> Sampling:
        """The model's sampling settings with some replaced. Raises ConfigError."""
        asked = {key: value for key, value in values.items() if value is not None}
        section = {"decoding": self.decoding.model_dump() | asked}
        settings: Sampling = validate({"decoding": Sampling}, section)["decoding"]
        return settings

    def inputs(self, text: str, *more: str) -> TokenBatch:
        if more:
            raise ConfigError("a language model reads one text; leave the other away")
        tokens = torch.tensor([[self.tokenizer.bos_id, *self.tokenizer.encode(text)]], device=self.device)
        return TokenBatch(tokens, torch.ones_like(tokens, dtype=torch.bool))

    @torch.no_grad()
    def logits(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        """Scores `[B, T, V]` of the token after each, from ids `[B, T]`, which begin with [BOS].

        mask: `[B, T]`, True at real tokens; padding may stand on either side.
        """
        tokens, mask, order = to_right_padded(tokens.to(self.device), mask)
        self._refuse_longer(tokens.shape[1])
        hidden: Tensor = self.head(self.network(TokenBatch(tokens, mask)).hidden)
        return from_right_padded(hidden, order)

    def _refuse_longer(self, length: int) -> None:
        """Raises ConfigError for more tokens than the model reads together."""
        longest = getattr(self.network, "longest", None)
        if longest is not None and length > longest:
            raise ConfigError(
                f"{length} tokens: this model reads {longest} together (model.max_length); give a shorter text"
            )

    @torch.no_grad()
    def embed(
        self,
        text: str | Sequence[str],
        pool: str | None = None,
        *,
        normalise: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """A vector `[N]` for a text; of a list of texts, a list.

        pool: "last", what the model shows after the last token; "mean", the mean of what it shows after each.
        normalise: to the length 1. Texts are read one by one, whatever batch_size says. Raises ConfigError.
        """
        return one_by_one(text, lambda one: pooled(self.task.hidden(self.network, one), pool or "last", normalise))

    @torch.no_grad()
    def trace(self, text: str, names: Sequence[str] = ("*",), edits: Mapping[str, Edit] | None = None) -> Trace:
        """What the model computes while it reads `text`.

        Row t has read the tokens up to t and predicts the next: the sequences "text" and "predicted" name both; what
        comes after the last token of a long text is not known ("…"). names:
        patterns of the values to keep, beside the logits, which are always there. edits: pattern -> function that
        replaces a value, as in {"recurrent.layers.0.0.forget_gate": lambda gate: gate * 0}.
        """
        inputs = self.inputs(text)
        self._refuse_longer(inputs.tokens.shape[1])
        with Recorder(self.network, names, edits) as recorder:
            hidden = self.network(inputs).hidden
        values = bound(recorder.values(), self.network.axis_sequences)
        values["logits"] = Recorded("logits", "B T V", self.head(hidden), {"T": "text"})
        return Trace(values, self.task.sequences(inputs))

    @torch.no_grad()
    def lens(self, trace: Trace) -> Recorded:
        """What each layer would say comes next, if it were the last: log-probabilities "L B T V", from a trace that has
        every layer's sum (nostalgebraist 2020, "Interpreting GPT: the logit lens"). The last layer's are the model's
        own. Raises ConfigError.
        """
        pattern = self._layers()
        sums = [recorded.value for recorded in trace.find(pattern)]
        if len(sums) < self.model_config.n_layers:
            raise ConfigError(f"this trace lacks values of {pattern}; make it with these among names")
        scores = [self.head(self.network.norm(value)).float().log_softmax(-1) for value in sums]
        return Recorded("lens", "L B T V", torch.stack(scores), {"T": "text"})

    def guesses(self, text: str, top: int = 3) -> list[list[list[tuple[str, float]]]]:
        """For every layer, and every token of [BOS] and the text, the likeliest next tokens with their probabilities.

        Raises ConfigError.
        """
        if not 1 <= top <= self.tokenizer.vocab_size:
            raise ConfigError(f"top {top}: expected 1 to {self.tokenizer.vocab_size} tokens")
        best = self.lens(self.trace(text, (self._layers(),))).value[:, 0].exp().topk(top)
        return [
            [list(zip(self.labels(ids), shares.tolist(), strict=True)) for shares, ids in zip(*layer, strict=True)]
            for layer in zip(best.values, best.indices, strict=True)
        ]

    def _layers(self) -> str:
        """The recorded values that can be read as guesses."""
        pattern: str | None = getattr(self.network, "layers", None)
        if pattern is None:
            names = "gpt, llama and moe"
            raise ConfigError(f"a {self.model_config.name} has no sum that its layers add to; {names} have one")
        return pattern

    def expert_load(self, text: str | Sequence[str]) -> dict[str, Any]:
        """How the choices of each layer's router fall on its experts, and where each kind of token goes, over the first
        20,000 tokens, as views/experts.py defines it. Raises ConfigError for a model without experts.
        """
        if not hasattr(self.network, "gates"):
            raise ConfigError(f"a {self.model_config.name} has no experts; moe has")
        texts = [text] if isinstance(text, str) else list(text)
        windows = self.task.encode(texts)
        if not windows.predictions:
            raise ConfigError("no token to look at; give a text")
        return expert_load(self.network, self.task, windows)

    def evaluate(
        self,
        data: str,
        *,
        columns: Sequence[str] = (),
        encoding: str = "utf-8",
        batch_size: int | None = None,
        **other: Any,
    ) -> dict[str, Any]:
        """How much a text surprises the model: loss (nats a token), perplexity, bits per character.

        All of it is read, with what is remembered carried through it; of documents, through each. A model that reads at
        most model.max_length tokens together predicts each from half as many before it at least. Their ends count as
        one character, as the line breaks that they are in the text. A set without a part is measured on `test`. Says
        in "selected_on" whether the best checkpoint was chosen on this very text, in "trained_on" whether it is what
        the model was trained on. batch_size: documents that are read side by side. Raises ConfigError and DataError.
        """
        if given := [name for name, value in other.items() if value is not None]:
            raise ConfigError(f"{given[0]} does not go with a language model; leave it away")
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f"batch_size {batch_size}: expected at least 1")
        text = load_text(data, "test", Form(tuple(columns), encoding))
        began = time.perf_counter()
        documents = self.task.reading == "documents"
        texts = list(text.documents) if documents else [text.text]
        windows = self.task.encode(texts)
        surprise = self.task.surprise(self.network, self.head, windows, together=batch_size or MOST_TOGETHER)
        tokens, characters = windows.predictions, sum(map(len, texts)) + documents * len(texts)
        seconds = time.perf_counter() - began
        report: dict[str, Any] = {"data": text.spec, "reading": self.task.reading}
        if longest := getattr(self.network, "longest", None):
            report |= {"context": longest // 2}
        report |= {"characters": characters, "tokens": tokens, **scores(surprise, tokens, characters)}
        marks = windows.share_of({self.tokenizer.bos_id, self.tokenizer.eos_id})  # which the text does not have
        report |= {"unknown": windows.share_of(self.tokenizer.unknown_ids) / (1 - marks) if marks < 1 else 0.0}
        if hasattr(self.network, "gates"):
            report |= {"experts": expert_load(self.network, self.task, windows)}
        return report | self.role_in_training(text.sha256) | {"tokens_per_second": tokens / seconds}
