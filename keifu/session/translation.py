"""A loaded translator: translate, score, evaluate, look inside."""

import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from keifu.config import validate
from keifu.data.batches import Sequences, from_right_padded, to_right_padded
from keifu.data.examples import Pair
from keifu.data.pairs import UNNAMED, Form, PairData, load_pairs
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.generation.translation import Decoding, Translated, translate
from keifu.interface import PairBatch, TokenBatch
from keifu.models import model_class
from keifu.session.model import Model, one_by_one, pooled, read_sections
from keifu.tasks.alignment import alignment_errors
from keifu.tasks.reading import backward_parts_of
from keifu.tasks.translation import Batch, PairSequences, Translation, in_one_stream, limit_name
from keifu.tasks.translation_metrics import score_translations
from keifu.text import Tokenizer
from keifu.text.normalisation import PairNormalisation
from keifu.trace import Edit, Recorded, Recorder, Trace, bound
from keifu.training.record import own_corpus, read_history, run_of
from keifu.views.diagnosis import Circumstances, diagnose
from keifu.views.documents import open_document, translate_segments
from keifu.views.evidence import Sample, read_sentences, take_sample

_ALIGNMENT_PAIRS = 500  # of the dev part, to choose the layer on


class Translator(Model):
    """A trained translator, ready to use."""

    uses = ("translate", "embed", "evaluate", "diagnose")

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        """config: the content of its config.json. Raises CheckpointError."""
        self.languages = _read_languages(path, config)
        sections = read_sections(path, config, {"decoding": Decoding, "normalisation": PairNormalisation})
        self.decoding, self.normalisation = sections["decoding"], sections["normalisation"]
        task = Translation.for_model(model_class(sections["model"].name), tokenizer)
        super().__init__(path, sections["model"], tensors, tokenizer, task)

    def translate(self, text: str | Sequence[str], *, details: bool = False, raw: bool = False, **decoding: Any) -> Any:
        """The translation of a text; of a list of texts, a list.

        decoding: beam, n_best, length_penalty, max_ratio, batch_size; what is not given is as the model was trained
        to be used. With n_best above 1, each text gives a list, best first. details=True gives `Translated` objects
        (text, score, tokens, complete, raw) instead of strings. Texts are given in ordinary writing, however those that
        the model was trained on are written (see text/normalisation.py); raw=True leaves them as the model writes them.
        """
        texts = [self.normalisation.source(one) for one in ([text] if isinstance(text, str) else text)]
        settings = self.decoding_with(**decoding)
        found = translate(self.network, self.head, self.tokenizer, texts, settings)
        if not raw:
            found = [[self._in_ordinary_writing(best) for best in bests] for bests in found]
        shaped = [[best if details else best.text for best in bests] for bests in found]
        results: list[Any] = shaped if settings.n_best > 1 else [bests[0] for bests in shaped]
        return results[0] if isinstance(text, str) else results

    def translate_document(self, content: str, kind: str = "text", **decoding: Any) -> str:
        """A document translated sentence by sentence, with its paragraphs and its markup.

        kind: "text", "markdown", or "tmx" for a translation memory whose gaps are filled. decoding: as for
        `translate`, one translation each. Raises ConfigError and DataError.
        """
        document = open_document(self, content, kind)
        return document.fill([one.text for one in translate_segments(self, document.segments, **decoding)])

    def _in_ordinary_writing(self, one: Translated) -> Translated:
        return replace(one, text=self.normalisation.target.undo(one.raw, self.languages[1]))

    def decoding_with(self, **values: Any) -> Decoding:
        """The model's decoding settings with some replaced. Raises ConfigError."""
        asked = {key: value for key, value in values.items() if value is not None}
        section = {"decoding": self.decoding.model_dump() | asked}
        settings: Decoding = validate({"decoding": Decoding}, section)["decoding"]
        return settings

    @torch.no_grad()
    def logits(
        self, source: Tensor, target: Tensor, source_mask: Tensor | None = None, target_mask: Tensor | None = None
    ) -> Tensor:
        """Scores `[B, T, V]` of the token after each target token, from ids `[B, S]` and `[B, T]`.

        The source ends with [EOS], unless it is one stream with the target, which begins with [BOS], as the source of a
        bert-seq2seq does, too. Masks are True at real tokens; padding may stand on either side.
        """
        source, source_mask, _ = to_right_padded(source.to(self.device), source_mask)
        target, target_mask, order = to_right_padded(target.to(self.device), target_mask)
        pair = PairBatch(source, source_mask, target, target_mask)
        if self.task.takes == "pair":
            hidden = self.network(pair).hidden
        else:
            stream, taken = in_one_stream(pair)
            hidden = from_right_padded(self.network(stream).hidden, taken)[:, source.shape[1] :]
        scores: Tensor = self.head(hidden)
        return from_right_padded(scores, order)

    @torch.no_grad()
    def embed(
        self,
        text: str | Sequence[str],
        pool: str | None = None,
        *,
        normalise: bool = False,
        batch_size: int | None = None,
    ) -> Any:
        """A vector `[D]` for a text, of what the encoder makes of it, or a model of one stream; of a list of texts, a
        list.

        pool: "last", what the model shows when it has read the text: at the last token, [EOS] in an encoder, and of
        what reads backward at the first; "mean", the mean of the vectors of all tokens. normalise: to the length 1. Of
        an empty text, a model of one stream reads [BOS]. Texts are read one by one, whatever batch_size says. Raises
        ConfigError.
        """

        def vector(one: str) -> Tensor:
            pair = Pair(self.normalisation.source(one), "")
            ids = self.task.encode_now([pair]).sources.padded(np.arange(1), 0).to(self.device)
            if not ids.numel():  # a model of one stream reads [BOS] behind a source
                ids = ids.new_full((1, 1), self.tokenizer.bos_id)
            return pooled(self._read(ids)[0], pool or "last", normalise, backward_parts_of(self.network))

        return one_by_one(text, vector)

    def inputs(self, text: str, *target: str) -> PairBatch | TokenBatch:
        if len(target) > 1:
            raise ConfigError("give a text and its translation")
        return self._batch(text, *target).inputs

    def _batch(self, text: str, target: str | None = None) -> Batch:
        """A batch of one row; the target is the model's own greedy translation where none is given."""
        written = None if target is None else self.normalisation.target(target)
        encoded = self.task.encode_now([Pair(self.normalisation.source(text), written or "")])
        if written is None:
            best = self.translate(text, beam=1, n_best=1, details=True)
            tokens, longest = [*best.tokens, self.tokenizer.eos_id], self.network.longest
            if longest is not None:  # of an output that was cut off, the last token has no room before it
                read = int(encoded.sources.lengths[0]) if self.task.takes == "tokens" else 0
                tokens = tokens[: longest - read]
            encoded = PairSequences(encoded.sources, Sequences([np.array(tokens, np.int32)]))
        batch: Batch = self.task.batch(encoded, encoded.rows()).to(self.device)
        return batch

    def _read(self, source: Tensor) -> Tensor:
        """What the model makes `[B, S, D]` of source tokens `[B, S]`, all of them real."""
        mask = torch.ones_like(source, dtype=torch.bool)
        hidden: Tensor
        if self.task.takes == "pair":
            hidden = self.network.encode(source, mask)
        else:
            hidden = self.network(TokenBatch(source, mask)).hidden
        return hidden

    @torch.no_grad()
    def trace(
        self,
        text: str,
        target: str | None = None,
        names: Sequence[str] = ("*",),
        edits: Mapping[str, Edit] | None = None,
    ) -> Trace:
        """What the model computes while it reads `text` and writes `target` (default: its own greedy translation).

        Row t of the decoder has read target tokens up to t and predicts the next: the sequences "target" and
        "predicted" name both. Where source and target are one stream, it is the sequence "text". names: patterns of the
        values to keep, beside the logits, which are always there. edits: pattern -> function that replaces a value, as
        in {"decoder.0.cross_attention.weights": lambda weights: weights * 0}.
        """
        batch = self._batch(text, target)
        with Recorder(self.network, names, edits) as recorder:
            hidden = self.network(batch.inputs).hidden
        read = "target" if self.task.takes == "pair" else "text"
        values = bound(recorder.values(), self.network.axis_sequences)
        values["logits"] = Recorded("logits", "B T V", self.head(hidden), {"T": read})
        return Trace(values, self.task.sequences(batch))

    def evaluate(
        self,
        data: str,
        *,
        source: str | None = None,
        target: str | None = None,
        columns: Sequence[str] = (),
        encoding: str = "utf-8",
        **decoding: Any,
    ) -> dict[str, Any]:
        """Scores of the model's translations of `data` ("test.en,test.ja", "test.tsv", "multi30k-en-de:test").

        Outputs are compared as the model writes them, with the references as they are: BLEU and chrF with their
        signatures, exact match; loss (nats a token) and perplexity of the references; for a corpus that knows its
        constructions and alignments, exact match by construction and the alignment error. Pairs whose source is longer
        than the model reads are left out, and counted. A set without a part is scored on `test`. Says in "selected_on"
        whether the best checkpoint was chosen on this very data, in "trained_on" whether it is what the model was
        trained on.
        """
        given = self._load_pairs(data, source, target, Form(tuple(columns), encoding))
        settings = self.decoding_with(**decoding)
        pairs = self._readable(given)
        began = time.perf_counter()
        sources = [self.normalisation.source(pair.source) for pair in pairs]
        found = translate(self.network, self.head, self.tokenizer, sources, settings)
        seconds = time.perf_counter() - began
        outputs = [bests[0].text for bests in found]
        scores = score_translations(outputs, [pair.target for pair in pairs])
        report: dict[str, Any] = {
            "data": given.spec,
            "languages": list(given.languages),
            "model_languages": list(self.languages),
        }
        if len(pairs) < len(given.pairs):
            report["left_out_as_too_long"] = len(given.pairs) - len(pairs)
        report |= {"sentences": len(outputs), "beam": settings.beam, **scores, **self._surprise(pairs)}
        report |= _by_construction(pairs, outputs)
        report |= self._alignment(pairs, given.languages)
        return report | self.role_in_training(given.sha256) | {"sentences_per_second": len(outputs) / seconds}

    def diagnose(
        self,
        data: str | None = None,
        limit: int = 500,
        *,
        source: str | None = None,
        target: str | None = None,
        columns: Sequence[str] = (),
        encoding: str = "utf-8",
        **decoding: Any,
    ) -> dict[str, Any]:
        """What is wrong with the model and what to try next: verdict, advice, measures, the worst sentences.

        data: as for `evaluate`; None: the validation data of the model's own run. At most `limit` of its pairs are
        used, evenly spread. keifu/views/diagnosis.py defines everything. Raises ConfigError and DataError.
        """
        if limit < 1:
            raise ConfigError(f"limit {limit}: expected at least 1 pair")
        settings = self.decoding_with(**decoding)
        corpus, run = None, run_of(self.path)
        if data is None:
            corpus = own_corpus(self.path)
            chosen = corpus.valid
        else:
            chosen = self._load_pairs(data, source, target, Form(tuple(columns), encoding))
            with suppress(ConfigError, DataError):  # the verdict then rests on what the run wrote down
                corpus = own_corpus(self.path)

        def sampled(pairs: Sequence[Pair]) -> Sample:
            return take_sample(pairs, limit, self.task, self.normalisation.source, self.longest_side)

        def surprise(sample: Sample) -> float:
            nats: float = self.task.mean_surprise(self.network, self.head, self.task.encode(sample.pairs))
            return nats

        def loss(pairs: Sequence[Pair]) -> float | None:
            sample = sampled(pairs)
            return surprise(sample) if sample.pairs else None

        sample = sampled(chosen.pairs)
        if not sample.pairs:
            raise DataError(
                f"{chosen.spec}: every pair has over {self.longest_side} tokens ({limit_name(self.task.takes)}); name "
                "other data"
            )
        sentences = read_sentences(self.network, self.head, self.task, sample, chosen.places, settings)
        here = surprise(sample)
        about = Circumstances(
            data=chosen.spec,
            decoding=settings,
            loss=here,
            validation=here if data is None else loss(corpus.valid.pairs) if corpus else None,
            training=loss(corpus.train.pairs) if corpus else None,
            history=read_history(run) if run else [],
            run=run,
            dropout=getattr(self.model_config, "dropout", None),
        )
        used = {"pairs": len(sentences), "of": len(chosen.pairs), "too_long": sample.too_long}
        name = corpus.valid_is if corpus and data is None else chosen.spec
        role = {"data": name, "trained_on": self.role_in_training(chosen.sha256)["trained_on"]}
        return {**role, **used, **diagnose(sentences, self.tokenizer, about)}

    @property
    def longest_side(self) -> int:
        """The most tokens of a text, or of its translation, that the model is given at once."""
        most: int = self.task.longest_side(self.model_config.max_length)
        return most

    def _readable(self, data: PairData) -> Sequence[Pair]:
        """The pairs whose source is not longer than the model reads. Raises DataError where it is so in none."""
        if self.network.longest is None:
            return data.pairs
        lengths = self.task.encode(self._as_read(data.pairs)).sizes[:, 0]
        pairs = [pair for pair, length in zip(data.pairs, lengths, strict=True) if length <= self.longest_side]
        if not pairs:
            raise DataError(
                f"{data.spec}: every source has over {self.longest_side} tokens ({limit_name(self.task.takes)}); name "
                "other data"
            )
        return pairs

    def _as_read(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The pairs with their sources as the model takes them."""
        return [replace(pair, source=self.normalisation.source(pair.source)) for pair in pairs]

    def _surprise(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Loss in nats a target token and perplexity of the references, but for those that are longer than the model
        reads.
        """
        encoded = self.task.encode(self._as_read(pairs))
        if self.network.longest is not None:
            encoded = encoded.up_to(self.longest_side)
        if not len(encoded):
            return {}
        loss: float = self.task.mean_surprise(self.network, self.head, encoded)
        left_out = {"too_long": len(pairs) - len(encoded)} if len(encoded) < len(pairs) else {}
        return {"loss": loss, "perplexity": math.exp(min(loss, 100.0)), **left_out}

    def _alignment(self, pairs: Sequence[Pair], languages: tuple[str, str]) -> dict[str, Any]:
        """The alignment error of the decoder layer that has the smallest on 500 pairs of builtin:enja:dev.

        Empty where the words' alignment is not known, where the model reads the texts in another form, or where it does
        not attend to the source.
        """
        written = self.normalisation.source
        if any(pair.alignment is None or written(pair.source) != pair.source for pair in pairs):
            return {}
        dev = load_pairs("builtin:enja:dev", None, *languages).pairs[:_ALIGNMENT_PAIRS]
        on_dev = alignment_errors(self.network, self.task, dev)
        if not on_dev:
            return {}
        layer = min(on_dev, key=lambda layer: on_dev[layer])
        error = alignment_errors(self.network, self.task, pairs)[layer]
        return {
            "alignment_error": error,
            "alignment_layer": [*on_dev].index(layer),
            "alignment_layer_chosen_on": "builtin:enja:dev",
        }

    def _load_pairs(self, spec: str, source: str | None, target: str | None, form: Form) -> PairData:
        """Pairs in the model's direction, unless another is asked for."""
        if not (source or target):
            try:
                return load_pairs(spec, "test", *self.languages, form)
            except ConfigError:  # the data names its sides otherwise, or not at all
                pass
        return load_pairs(spec, "test", source, target, form)


def _read_languages(path: Path, config: Mapping[str, Any]) -> tuple[str, str]:
    """The names of the two sides in a config.json. Raises CheckpointError."""
    match config.get("languages", UNNAMED):
        case [str(source), str(target)]:
            return source, target
    raise CheckpointError(f"{path}/config.json: languages: expected two names")


def _by_construction(pairs: Sequence[Pair], outputs: Sequence[str]) -> dict[str, Any]:
    """Exact match among the pairs with each construction, for a corpus that names them."""
    names = sorted({name for pair in pairs for name in pair.constructions})
    if not names:
        return {}
    matches = {
        name: [output == pair.target for pair, output in zip(pairs, outputs, strict=True) if name in pair.constructions]
        for name in names
    }
    return {"exact_match_by_construction": {name: sum(hits) / len(hits) for name, hits in matches.items()}}
