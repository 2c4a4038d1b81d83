"""Looking inside changes nothing, shows what was really computed, and leaves nothing behind."""

import random
import threading
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keifu.errors import ConfigError
from keifu.tasks.masked_lm import with_masks
from keifu.trace import Recorder, record, recording
from tests.properties.cases import Case
from tests.properties.inputs import ReadInputs

EXACT = {"rtol": 0, "atol": 1e-12}


class Run:
    """A batch, what the model makes of it unwatched, and what a recorder saw."""

    def __init__(self, case: Case, **options: Any) -> None:
        self.case = case
        self.tokens, self.masks = _batch_of_distinct_sizes(case)
        self.plain = self._outputs()
        with Recorder(case.model, **options) as recorder:
            self.outputs = self._outputs()
        self.values = recorder.values()

    @torch.no_grad()
    def _outputs(self) -> Tensor:
        hidden: Tensor = self.case.model(self.case.inputs.batch(self.tokens, self.masks)).hidden
        return self.case.inputs.spread(hidden, self.tokens)

    def at_real(self, name: str, value: Tensor) -> Tensor:
        """A recorded value, or one with its axes, at the real tokens: what is at padding means nothing."""
        letters = self.values[name].letters
        side = self.sides(name).get("T")
        if side is None or set(letters[:2]) != {"B", "T"}:
            return value
        return value[self.masks[side] if letters[0] == "B" else self.masks[side].T]

    def at_real_outputs(self, outputs: Tensor) -> Tensor:
        return outputs[self.masks[self.case.inputs.written]]

    def sides(self, name: str) -> dict[str, str]:
        """The side that each time letter of a recorded value runs over, as the model declares it."""
        patterns = self.case.model.axis_sequences
        return next((sides for pattern, sides in patterns.items() if fnmatchcase(name, pattern)), {})


def _batch_of_distinct_sizes(case: Case) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A padded batch in which no two axes could be taken for each other."""
    taken = set(case.sizes().values())
    free = [size for size in range(2, 100) if size not in taken]
    rows, *lengths = free[: 1 + len(case.inputs.sides)]
    examples = [
        {side: case.tokens(length - row % 2) for side, length in zip(case.inputs.sides, lengths, strict=True)}
        for row in range(rows)
    ]
    return case.padded(examples)


def test_outputs_are_equal_while_someone_records(case: Case) -> None:
    run = Run(case)
    torch.testing.assert_close(run.at_real_outputs(run.outputs), run.at_real_outputs(run.plain), **EXACT)


def test_every_axis_has_the_size_that_its_letter_means(case: Case) -> None:
    run = Run(case)
    [rows] = {len(mask) for mask in run.masks.values()}
    for name, recorded in run.values.items():
        times = {letter: run.masks[side].shape[1] for letter, side in run.sides(name).items()}
        sizes = {**case.sizes(name), "B": rows, **times}
        assert list(recorded.value.shape) == [sizes[letter] for letter in recorded.letters], name
        assert recorded.name == name


def test_attention_replays_from_what_was_recorded(case: Case) -> None:
    run = Run(case)
    paths = [name.removesuffix(".weights") for name in run.values if name.endswith(".weights")]
    assert bool(paths) == bool(case.family.attention)
    for path in paths:
        value = {name: run.values[f"{path}.{name}"].value for name in ("query", "key", "value", "scores", "weights")}
        shared = value["query"].shape[1] // value["key"].shape[1]
        value |= {name: value[name].repeat_interleave(shared, dim=1) for name in ("key", "value")}
        heads, output = (run.values[f"{path}.{name}"].value for name in ("heads", "output"))
        weight = getattr(case.model.get_submodule(path), "likeness", None)
        if weight is None:
            scores = value["query"] @ value["key"].transpose(-1, -2) / value["query"].shape[-1] ** 0.5
        else:
            scores = (value["query"].unsqueeze(-2) + value["key"].unsqueeze(-3)).tanh() @ weight
        torch.testing.assert_close(value["scores"], scores, **EXACT)

        [(asks, answers)] = [sides for pattern, sides in case.family.attention.items() if fnmatchcase(path, pattern)]
        declared = case.family.may_attend(case.config, asks, answers, *scores.shape[-2:])
        mask = declared & run.masks[answers][:, None, None, :]
        real = run.masks[asks]
        weights = scores.masked_fill(~mask, float("-inf")).softmax(-1)
        torch.testing.assert_close(_at(value["weights"], real), _at(weights, real), **EXACT)
        torch.testing.assert_close(heads, value["weights"] @ value["value"], **EXACT)
        layer = case.model.get_submodule(path).output
        torch.testing.assert_close(output, layer(heads.transpose(1, 2).flatten(2)), **EXACT)


def _at(values: Tensor, real: Tensor) -> Tensor:
    """Values `[B, H, T, S]` at the queries that are real."""
    return values.transpose(1, 2)[real]


def test_wiring_replays_from_what_was_recorded(case: Case) -> None:
    run = Run(case)
    replayed = set()
    for name, expected in case.family.wiring(case.model, run.values):
        found, expected = run.at_real(name, run.values[name].value), run.at_real(name, expected)
        torch.testing.assert_close(found, expected, msg=lambda text, name=name: f"{name}: {text}", **EXACT)
        replayed.add(name)
    last = list(run.values)[-1]
    torch.testing.assert_close(run.outputs, run.values[last].value.expand_as(run.outputs), **EXACT)
    replayed_by_attention = ("scores", "weights", "heads", "output", "query", "key", "value")
    left = [name for name in run.values if name not in replayed and not name.endswith(replayed_by_attention)]
    left = [name for name in left if not name.startswith(case.family.apart)]
    assert all(name.endswith(("token", ".position", ".hidden")) for name in left), left


def test_each_value_has_a_name_of_its_own(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[tuple[int, str]] = Counter()
    stacked: set[tuple[int, str]] = set()
    take = Recorder.take

    def counted(self: Recorder, module: nn.Module, name: str, value: Tensor, axes: str, along: str | None) -> Tensor:
        calls[id(module), name] += 1
        stacked.update([(id(module), name)] if along else [])
        return take(self, module, name, value, axes, along)

    monkeypatch.setattr(Recorder, "take", counted)
    assert len(Run(case).values) == len(calls)
    assert all(count == 1 or name in stacked for name, count in calls.items())


def test_nothing_stays_on_the_model(case: Case) -> None:
    Run(case)  # tables that grow with the longest sequence have grown
    before = _everything(case.model)
    run = Run(case, edits={"*": lambda value: value * 0.5})
    assert _everything(case.model) == before
    torch.testing.assert_close(run.plain, run._outputs(), rtol=0, atol=0)
    assert not recording()


def _everything(model: nn.Module) -> dict[str, Any]:
    """What each module holds, down to its hooks, and the identity and content of every tensor."""
    held: dict[str, Any] = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            held[f"{path}.{name}"] = (id(value), list(value)) if isinstance(value, dict | list | set) else id(value)
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            held[f"{path}.{name}"] = (id(tensor), tensor._version, tensor.sum().item(), sorted(vars(tensor)))
    return held


def test_nothing_stays_after_a_failure() -> None:
    module = nn.Module()
    with pytest.raises(ZeroDivisionError), Recorder(module):
        raise ZeroDivisionError
    assert not recording()
    with pytest.raises(ConfigError), Recorder(module, edits={"nothing": torch.relu}):
        pass
    assert not recording()


def test_only_values_that_match_are_kept(case: Case) -> None:
    names = {case.family.pattern, "*.heads"}
    everything = Run(case).values
    kept = Run(case, names=tuple(names)).values
    assert list(kept) == [name for name in everything if any(fnmatchcase(name, pattern) for pattern in names)]
    assert Run(case, names=()).values == {}


def test_a_head_set_to_zero_is_a_head_without_its_slice_of_the_output_matrix(case: Case) -> None:
    heads = list(Run(case, names=("*.heads",)).values)
    if not case.family.attention:
        pytest.skip("it has no attention")
    for name in (heads[0], heads[-1]):
        chosen = case.random.randrange(case.sizes()["H"])

        def silence(heads: Tensor, chosen: int = chosen) -> Tensor:
            heads = heads.clone()
            heads[:, chosen] = 0
            return heads

        run = Run(case, edits={name: silence})
        assert (run.outputs - run.plain).abs().max() > 1e-6
        assert (run.values[name].value[:, chosen] == 0).all()
        module: Any = case.model.get_submodule(name.removesuffix(".heads"))
        columns = slice(chosen * module.d_head, (chosen + 1) * module.d_head)
        before = module.output.weight.detach().clone()
        with torch.no_grad():
            module.output.weight[:, columns] = 0
        torch.testing.assert_close(run.at_real_outputs(run._outputs()), run.at_real_outputs(run.outputs), **EXACT)
        with torch.no_grad():
            module.output.weight.copy_(before)


def repeatable(case: Case) -> Case:
    """The same whose batch is always the same one: another has tokens for other experts."""
    return replace(case, random=random.Random(0))


def test_every_recorded_value_can_be_edited(case: Case) -> None:
    """An edit goes through the point of recording: the value is kept as edited, and what follows changes."""
    for name, recorded in Run(repeatable(case)).values.items():
        given: list[Tensor] = []

        def edit(value: Tensor, given: list[Tensor] = given) -> Tensor:
            given.append(value + torch.randn_like(value))
            return given[-1]

        run = Run(repeatable(case), edits={name: edit})
        kept = run.values[name].value
        several = kept.dim() > given[0].dim()  # recorded at every step
        if several or len(given) == 1:
            joined = [torch.stack(takes) if several else given[0] for takes in (given, given[::-1])]
        else:
            joined = [torch.cat(given, recorded.letters.index("T"))]
        assert any(torch.equal(kept, one) for one in joined), name
        assert (run.outputs - run.plain).abs().max() > 1e-9, f"{name} is recorded beside the way"
        assert kept.shape == recorded.value.shape


def test_an_edit_that_matches_nothing_names_what_is_close(case: Case) -> None:
    name = next(name for name in Run(case).values if fnmatchcase(name, case.family.pattern))
    with pytest.raises(ConfigError, match=f"close to it: .*{name[:-1]}"):
        Run(case, edits={name[:-1]: torch.zeros_like})


def test_an_edit_must_keep_the_shape(case: Case) -> None:
    axes = "B H T S" if case.family.attention else "B T M" if case.family.shown else "B N"
    with pytest.raises(ConfigError, match=f"gave shape .* expected .*{axes}"):
        Run(case, edits={case.family.pattern: lambda value: value[:1]})


def test_another_thread_does_not_record(case: Case) -> None:
    run = Run(case)
    seen: list[Any] = []

    def other() -> None:
        seen.append(recording())
        seen.append(run._outputs())
        with Recorder(case.model) as recorder:
            run._outputs()
        seen.append(recorder.values())

    with Recorder(case.model) as recorder:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert recorder.values() == {}
        assert recording()
    was_recording, outputs, values = seen
    assert not was_recording
    assert torch.equal(outputs, run.plain)
    assert list(values) == list(run.values)


class Steps(nn.Module):
    def forward(self, x: Tensor, along: str | None) -> Tensor:
        for _ in range(3):
            x = record(self, "state", x + 1, "B N", along)
        return x


def test_values_of_several_times_are_stacked_on_the_axis_that_they_name() -> None:
    steps, x = Steps(), torch.zeros(2, 5)
    with Recorder(steps) as recorder:
        steps(x, "T")
    recorded = recorder.values()["state"]
    assert recorded.axes == "T B N"
    assert recorded.value.shape == (3, 2, 5)
    assert recorded.value[:, 0, 0].tolist() == [1, 2, 3]
    with Recorder(steps) as recorder:
        steps(x, None)
    with pytest.raises(AssertionError, match="3 times"):
        recorder.values()


def test_a_value_with_the_wrong_number_of_axes_is_a_mistake() -> None:
    module = nn.Module()
    with pytest.raises(AssertionError, match="axes"), Recorder(module):
        record(module, "x", torch.zeros(2, 3), "B T D")


@pytest.fixture
def session(case: Case) -> Any:
    """The model as a user holds it."""
    return case.session()


def test_a_trace_names_the_tokens_of_every_time_axis(case: Case, session: Any) -> None:
    inputs = case.inputs
    text, target = "abcab", "bca"
    trace = inputs.trace(session, text, target)
    expected = inputs.sequences(text, target)
    assert {name: trace.sequences[name] for name in expected} == expected
    assert set(trace.sequences) - set(expected) <= {"follows"}
    for recorded in trace.values():
        if recorded.name == "logits":
            continue
        for letter, size in zip(recorded.letters, recorded.value.shape, strict=True):
            if letter in "TS" and letter not in case.sizes():
                labels = trace.labels(recorded, letter)
                assert labels is not None, recorded.name
                assert len(labels) == size, recorded.name
    bos, eos = session.tokenizer.bos_id, session.tokenizer.eos_id
    begin = [bos] if getattr(session.task, "begins_source", False) else []
    ids = {"source": [*begin, *session.tokenizer.encode(text), eos]}
    ids |= {"target": [bos, *session.tokenizer.encode(target)]}
    ids |= {"text": [bos, *session.tokenizer.encode(text)]}
    ids |= {"story": session.tokenizer.encode(text), "question": session.tokenizer.encode(target)}
    tokens = {side: torch.tensor([ids[side]]) for side in inputs.sides}
    if isinstance(inputs, ReadInputs):
        logits = session.logits(torch.tensor([with_masks(session.tokenizer, text)]))
    else:
        logits = inputs.logits(session, tokens, dict.fromkeys(inputs.sides))
    torch.testing.assert_close(trace["logits"].value.expand_as(logits), logits, **EXACT)


def test_a_trace_without_a_target_follows_the_greedy_translation(case: Case, session: Any) -> None:
    if "translate" not in session.uses:
        pytest.skip("it does not translate")
    trace, best = session.trace("abc"), session.translate("abc", beam=1, details=True)
    written = [session.tokenizer.token(token) for token in best.tokens]
    assert trace.sequences["predicted"][-len(written) - 1 :] == [*written, "[EOS]"]


def test_a_trace_answers_by_name_and_by_pattern(case: Case, session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = case.family.pattern
    trace = case.inputs.trace(session, "abc", "bc", names=(pattern,))
    names = [name for name in trace if name != "logits"]
    assert names
    assert [recorded.name for recorded in trace.find(pattern)] == names
    with pytest.raises(KeyError, match="close to it"):
        trace[names[0] + "x"]
    trace.show()
    shown = capsys.readouterr().out
    assert all(name in shown for name in trace)
    edited = case.inputs.trace(session, "abc", "bc", edits={names[0]: torch.zeros_like})
    assert not torch.equal(edited["logits"].value, trace["logits"].value)
