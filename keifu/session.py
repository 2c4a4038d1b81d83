"""The loaded model that a user holds: translate, score, evaluate, look inside."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from keifu.checkpoint import load_model_files, resolve, verify
from keifu.config import validate
from keifu.data.batches import from_right_padded, to_right_padded
from keifu.data.examples import Pair
from keifu.data.pairs import UNNAMED, Form, PairData, load_pairs
from keifu.errors import CheckpointError, ConfigError, DataError
from keifu.generation.translation import Decoding, Translated, translate
from keifu.interface import PairBatch
from keifu.layers.heads import VocabularyHead
from keifu.layers.quantised import QuantisedHead, multiplies_int8, quantise
from keifu.models import LINEAGE, architecture
from keifu.tasks import translation as translation_task
from keifu.tasks.translation_metrics import score_translations
from keifu.text import Tokenizer
from keifu.text.normalisation import PairNormalisation
from keifu.trace import Edit, Recorded, Recorder, Trace
from keifu.training.allocator import keep_freed_memory
from keifu.training.loop import Event
from keifu.training.model_card import best_evaluation
from keifu.training.network import fill, make_model, named_parameters
from keifu.training.precision import DTYPES, choose_device
from keifu.training.record import own_corpus, read_history, run_of
from keifu.training.start import prepare
from keifu.views.alignment import alignment_errors
from keifu.views.diagnosis import Circumstances, diagnose
from keifu.views.documents import open_document, translate_segments
from keifu.views.evidence import Sample, mean_loss, read_sentences, take_sample

_ALIGNMENT_PAIRS = 500  # of the dev part, to choose the layer on
_PRECISIONS = ("auto", *DTYPES, "int8")


class Model:
    """A trained model with its head, tokenizer and settings, ready to use. Made by `load`."""

    def __init__(
        self, path: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], tokenizer: Tokenizer
    ) -> None:
        self.path, self.tokenizer = path, tokenizer
        self.languages = _read_languages(path, config)
        self.model_config, self.decoding, self.normalisation = _read_config(path, config)
        if self.model_config.vocab_size != tokenizer.vocab_size:
            raise CheckpointError(
                f"{path}/config.json: model.vocab_size is {self.model_config.vocab_size}, tokenizer.json has "
                f"{tokenizer.vocab_size} tokens; copy the whole folder again"
            )
        self.task = translation_task.Translation(tokenizer)
        self.network = make_model(self.model_config)
        self.head: VocabularyHead | QuantisedHead = self.task.head(self.network)
        fill(named_parameters(self.network, self.head), tensors, path)
        self.network.eval()
        self.head.eval()

    def to(self, device: str | torch.device = "auto", precision: str = "fp32") -> "Model":
        """Moves the model to a device, its weights to "fp32" or "bf16" ("auto" is fp32), or to "int8", which is for
        CPUs: there products are computed in eight-bit integers, the rest in float32. Returns it. Raises ConfigError.
        """
        if precision not in _PRECISIONS:
            raise ConfigError(f"precision {precision!r} is not known; expected {', '.join(_PRECISIONS)}")
        target = choose_device(str(device))
        quantised = isinstance(self.head, QuantisedHead)
        if quantised and (precision != "int8" or target.type != "cpu"):
            raise ConfigError("precision int8: its weights are rounded and stay on the CPU; load the model again")
        if precision == "int8" and not quantised:
            self._quantise(target)
        dtype = DTYPES.get(precision, torch.float32)
        self.network.to(device=target, dtype=dtype)
        self.head.to(device=target, dtype=dtype)
        return self

    def _quantise(self, device: torch.device) -> None:
        if device.type != "cpu" or not multiplies_int8():
            raise ConfigError(
                "precision int8: needs a CPU that multiplies eight-bit integers (avx512_vnni, avx_vnni or amx_int8), "
                f"found {device}; try {'bf16 or fp32' if device.type == 'cpu' else '--device cpu'}"
            )
        self.network.cpu()
        self.head.cpu()
        quantise(self.network)
        self.head = QuantisedHead(cast(VocabularyHead, self.head))

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

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

        The source ends with [EOS], the target begins with [BOS]. Masks are True at real tokens; padding may stand on
        either side.
        """
        source, source_mask, _ = to_right_padded(source.to(self.device), source_mask)
        target, target_mask, order = to_right_padded(target.to(self.device), target_mask)
        hidden = self.network(PairBatch(source, source_mask, target, target_mask)).hidden
        scores: Tensor = self.head(hidden)
        return from_right_padded(scores, order)

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
        "predicted" name both. names: patterns of the values to keep, beside the logits, which are always there.
        edits: pattern -> function that replaces a value, as in
        {"decoder.0.cross_attention.weights": lambda weights: weights * 0}.
        """
        text = self.normalisation.source(text)
        if target is None:
            target = self.translate(text, beam=1, n_best=1, raw=True)
        else:
            target = self.normalisation.target(target)
        encoded = self.task.encode_now([Pair(text, target)])
        batch = self.task.batch(encoded, encoded.rows()).to(self.device)
        with Recorder(self.network, names, edits) as recorder:
            hidden = self.network(batch.inputs).hidden
        values = recorder.values()
        values["logits"] = Recorded("logits", "B T V", self.head(hidden), {"T": "target"})
        sequences = {
            "source": self._tokens(batch.inputs.source[0]),
            "target": self._tokens(batch.inputs.target[0]),
            "predicted": self._tokens(batch.targets[0]),
        }
        return Trace({name: self._bound(value) for name, value in values.items()}, sequences)

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
        signatures, exact match; for a corpus that knows its constructions and alignments, exact match by construction
        and the alignment error. A set without a part is scored on `test`. Says in "selected_on" whether the best
        checkpoint was chosen on this very data, in "trained_on" whether it is what the model was trained on.
        """
        pairs = self._load_pairs(data, source, target, Form(tuple(columns), encoding))
        settings = self.decoding_with(**decoding)
        began = time.perf_counter()
        sources = [self.normalisation.source(pair.source) for pair in pairs.pairs]
        found = translate(self.network, self.head, self.tokenizer, sources, settings)
        seconds = time.perf_counter() - began
        outputs = [bests[0].text for bests in found]
        scores = score_translations(outputs, [pair.target for pair in pairs.pairs])
        report: dict[str, Any] = {
            "data": pairs.spec,
            "languages": list(pairs.languages),
            "model_languages": list(self.languages),
        }
        report |= {"sentences": len(outputs), "beam": settings.beam, **scores}
        report |= _by_construction(pairs.pairs, outputs)
        report |= self._alignment(pairs)
        return report | self._role_in_training(pairs) | {"sentences_per_second": len(outputs) / seconds}

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
            return take_sample(pairs, limit, self.task, self.normalisation.source, self.model_config.max_length)

        def loss(pairs: Sequence[Pair]) -> float | None:
            sample = sampled(pairs)
            return mean_loss(self.network, self.head, self.task, sample.pairs) if sample.pairs else None

        sample = sampled(chosen.pairs)
        if not sample.pairs:
            most = self.model_config.max_length
            raise DataError(f"{chosen.spec}: every pair has over {most} tokens (model.max_length); name other data")
        sentences = read_sentences(self.network, self.head, self.task, sample, chosen.places, settings)
        here = mean_loss(self.network, self.head, self.task, sample.pairs)
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
        role = {"data": name, "trained_on": self._role_in_training(chosen)["trained_on"]}
        return {**role, **used, **diagnose(sentences, self.tokenizer, about)}

    def _alignment(self, data: PairData) -> dict[str, Any]:
        """The alignment error of the decoder layer that has the smallest on 500 pairs of builtin:enja:dev.

        Empty where the words' alignment is not known, or where the model reads the texts in another form.
        """
        written = self.normalisation.source
        if any(pair.alignment is None or written(pair.source) != pair.source for pair in data.pairs):
            return {}
        dev = load_pairs("builtin:enja:dev", None, *data.languages).pairs[:_ALIGNMENT_PAIRS]
        on_dev = alignment_errors(self.network, self.task, dev)
        layer = min(range(len(on_dev)), key=lambda layer: on_dev[layer])
        error = alignment_errors(self.network, self.task, data.pairs)[layer]
        return {"alignment_error": error, "alignment_layer": layer, "alignment_layer_chosen_on": "builtin:enja:dev"}

    def _load_pairs(self, spec: str, source: str | None, target: str | None, form: Form) -> PairData:
        """Pairs in the model's direction, unless another is asked for."""
        if not (source or target):
            try:
                return load_pairs(spec, "test", *self.languages, form)
            except ConfigError:  # the data names its sides otherwise, or not at all
                pass
        return load_pairs(spec, "test", source, target, form)

    def _role_in_training(self, data: PairData) -> dict[str, bool]:
        """Whether the checkpoint belongs to a run whose data.json names this very data."""
        try:
            report = json.loads((self.path.resolve().parent.parent / "data.json").read_text("utf-8"))
            roles = {"selected_on": report["valid"]["sha256"], "trained_on": report["train"]["sha256"]}
        except (OSError, ValueError, KeyError, TypeError):
            roles = {"selected_on": "", "trained_on": ""}
        return {role: digest == data.sha256 for role, digest in roles.items()}

    def _tokens(self, ids: Tensor) -> list[str]:
        return [self.tokenizer.token(index) for index in ids.tolist()]

    def _bound(self, value: Recorded) -> Recorded:
        patterns: Mapping[str, Mapping[str, str]] = self.network.axis_sequences  # type: ignore[assignment]
        for pattern, sequences in patterns.items():
            if fnmatchcase(value.name, pattern):
                known = {letter: name for letter, name in sequences.items() if letter in value.letters}
                return Recorded(value.name, value.axes, value.value, known)
        return value


@dataclass(frozen=True)
class TrainedRun:
    """What `train` returns: the run's folder, the scores of its best checkpoint, and that model, loaded when first
    asked for.
    """

    path: Path
    metrics: dict[str, Any]

    @cached_property
    def model(self) -> Model:
        return load(self.path)


def load(path: str | Path, device: str = "auto", precision: str = "auto") -> Model:
    """The model in a run folder (its best checkpoint), in one of its checkpoints, or in any folder that holds a
    model.

    Raises CheckpointError where it is missing, damaged or of another kind.
    """
    keep_freed_memory()
    folder = resolve(path)
    if damaged := verify(folder):
        raise CheckpointError(f"{folder}: damaged ({', '.join(damaged)}); copy it again, or use another checkpoint")
    config, tensors, tokenizer = load_model_files(folder)
    if tokenizer is None:
        raise CheckpointError(f"{folder}: tokenizer.json is missing; copy it from where the model was trained")
    return Model(folder, config, tensors, Tokenizer.load(tokenizer)).to(device, precision)


def train(
    task: str,
    data: str | None = None,
    model: str | None = None,
    *,
    out: str | Path | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    **options: Any,
) -> TrainedRun:
    """Trains a model and returns the finished run.

    task: "translation". data: two aligned files or a built-in corpus. model: a name of the lineage. options, as on
    the command line: valid, source, target, max_time ("20m"), max_steps, epochs, preset, config (a YAML file),
    device, precision, seed; `overrides` is a nested dict for any other key, as {"model": {"d_model": 128}}. on_event:
    called with every event of the training loop.
    """
    run = prepare(task, data, model, out=out, **options)
    for event in run.events():
        on_event(event)
    best = best_evaluation(run.folder.path) or {}
    return TrainedRun(run.folder.path, {"step": best.get("step"), **best.get("valid", {})})


def _read_config(path: Path, config: Mapping[str, Any]) -> tuple[Any, Decoding, PairNormalisation]:
    """The model's and the decoding settings of a config.json, and how the training texts were written.

    Raises CheckpointError.
    """
    model = config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(name, str) or name not in LINEAGE:
        raise CheckpointError(f"{path}/config.json: model {name!r} is not known; expected one of {', '.join(LINEAGE)}")
    schemas = {"model": architecture(name).Config, "decoding": Decoding, "normalisation": PairNormalisation}
    try:
        sections = validate(schemas, {key: config.get(key, {}) for key in schemas}, file=path / "config.json")
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    return sections["model"], sections["decoding"], sections["normalisation"]


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
