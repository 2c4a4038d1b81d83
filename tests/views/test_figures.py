"""A figure shows the recorded weights with their tokens, as text, and leaves matplotlib as it was."""

import re
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from keifu.errors import ConfigError
from keifu.session import Model
from keifu.trace import Recorded, Trace
from keifu.views import figures
from keifu.views.figures import attention_figure, influence_figure, learning_figure, path_figure
from keifu.views.paths import PathLengths

SOURCE = ["I", " like", " cats", ".", "[EOS]"]
TARGET, PREDICTED = ["[BOS]", "猫", "が", "好き"], ["猫", "が", "好き", "[EOS]"]
CROSS, SELF, READS = "decoder.0.cross_attention.weights", "decoder.0.self_attention.weights", "encoder.0.weights"


@pytest.fixture
def trace() -> Trace:
    torch.manual_seed(0)
    sizes = {"source": 5, "target": 4}
    axes = {
        CROSS: {"T": "target", "S": "source"},
        SELF: {"T": "target", "S": "target"},
        READS: {"T": "source", "S": "source"},
    }
    values = {
        name: Recorded(name, "B H T S", torch.rand(1, 2, sizes[of["T"]], sizes[of["S"]]), of)
        for name, of in axes.items()
    }
    return Trace(values, {"source": SOURCE, "target": TARGET, "predicted": PREDICTED})


def texts(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))


def test_an_svg_has_the_tokens_as_text(trace: Trace, tmp_path: Path) -> None:
    found = texts(attention_figure(trace, CROSS, tmp_path / "map.svg"))
    assert [word for word in found if word in {label.strip() for label in SOURCE}][:5] == [s.strip() for s in SOURCE]
    assert set(PREDICTED) <= set(found)
    assert "[BOS]" not in found
    assert f"{CROSS}, mean of the heads" in found
    assert {"source", "predicted"} <= set(found)


@pytest.mark.parametrize(("name", "axis", "labels"), [(SELF, "target", TARGET), (READS, "source", SOURCE)])
def test_attention_to_the_own_sequence_has_its_tokens_on_both_sides(
    name: str, axis: str, labels: list[str], trace: Trace, tmp_path: Path
) -> None:
    found = texts(attention_figure(trace, name, tmp_path / "map.svg"))
    assert found.count(axis) == 2
    assert "predicted" not in found
    assert all(found.count(label.strip()) == 2 for label in labels)


@pytest.mark.filterwarnings("ignore:no font here")
@pytest.mark.parametrize(("ending", "begin"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_ending_chooses_the_form(ending: str, begin: bytes, trace: Trace, tmp_path: Path) -> None:
    path = attention_figure(trace, CROSS, tmp_path / f"map.{ending}")
    assert path == tmp_path / f"map.{ending}"
    assert path.read_bytes().startswith(begin)


@pytest.mark.parametrize("head", [None, 0, 1])
def test_what_is_drawn_is_what_was_recorded(
    head: int | None, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[np.ndarray, dict[str, object]]] = []
    show = Axes.imshow
    monkeypatch.setattr(Axes, "imshow", lambda axes, x, **how: drawn.append((x, how)) or show(axes, x, **how))
    attention_figure(trace, CROSS, tmp_path / "map.svg", head)
    weights = trace[CROSS].value[0]
    expected = weights.mean(0) if head is None else weights[head]
    ((shown, how),) = drawn
    assert np.array_equal(shown, expected.numpy())
    assert (how["vmin"], how["vmax"]) == (0, 1)


def test_dollar_signs_and_spaces_are_shown_as_they_are(tmp_path: Path) -> None:
    weights = Recorded("weights", "B H T S", torch.rand(1, 1, 3, 3), {"T": "source", "S": "source"})
    trace = Trace({"weights": weights}, {"source": ["$5$", " ", "$$"]})
    found = texts(attention_figure(trace, "weights", tmp_path / "map.svg"))
    assert [found.count(text) for text in ("$5$", "␣", "$$")] == [2, 2, 2]


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_characters_that_no_font_has_are_told_of_unless_the_reader_draws_them(
    ending: str, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "_FONTS", ["DejaVu Sans"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        attention_figure(trace, CROSS, tmp_path / "map.svg")
    with pytest.warns(UserWarning, match="^no font here has all characters of .*map") as caught:
        attention_figure(trace, CROSS, tmp_path / f"map.{ending}")
    (warning,) = caught
    assert warning.filename == __file__


@pytest.mark.filterwarnings("ignore:no font here")
def test_matplotlib_is_left_as_it_was(trace: Trace, tmp_path: Path) -> None:
    before, backend = dict(matplotlib.rcParams), matplotlib.get_backend()
    attention_figure(trace, CROSS, tmp_path / "map.png")
    assert dict(matplotlib.rcParams) == before
    assert matplotlib.get_backend() == backend


def test_without_matplotlib_it_says_what_to_install(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r"figures need matplotlib; install it with: pip install 'keifu\[plot\]'"):
        attention_figure(trace, CROSS, tmp_path / "map.svg")
    assert list(tmp_path.iterdir()) == []


def test_a_real_trace_can_be_drawn(model: Model, tmp_path: Path) -> None:
    trace = model.trace("I see cats.")
    found = texts(attention_figure(trace, CROSS, tmp_path / "map.svg"))
    assert {label.strip() or "␣" for label in trace.sequences["source"] + trace.sequences["predicted"]} <= set(found)


def test_the_figure_of_paths_has_every_finite_number_and_the_tokens(tmp_path: Path) -> None:
    far = torch.tensor([[7.0, 6.0, 5.0], [8.0, 7.0, 6.0]])
    near = torch.tensor([[2.0, torch.inf], [3.0, 2.0]])
    tokens = {"source_embedding": ["a", "b", "c"], "target_embedding": ["x", "y"]}
    lengths = PathLengths({"source_embedding": far, "target_embedding": near}, {}, tokens)
    found = texts(path_figure(lengths, tmp_path / "paths.svg"))
    assert [found.count(label) for label in ("a", "b", "c", "x", "y")] == [1, 1, 1, 2, 2]
    numbers = [label for label in found if label in ("2", "3", "5", "6", "7", "8")]
    # The scale beside it has numbers of its own.
    assert all(numbers.count(number) >= count for number, count in {"2": 2, "3": 1, "5": 1, "6": 2, "7": 2}.items())
    assert "inf" not in found
    assert "blocks on the shortest way" in found


def test_the_figure_of_influence_names_every_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[float], list[float]]] = []
    semilogy = Axes.semilogy

    def seen(self: Axes, x: np.ndarray, y: np.ndarray, **options: object) -> object:
        drawn.append((x.tolist(), y.tolist()))
        return semilogy(self, x, y, **options)

    monkeypatch.setattr(Axes, "semilogy", seen)
    curves = {"rnn": torch.tensor([4.0, 1.0, torch.nan]), "lstm": torch.tensor([torch.nan, 2.0, 1.0])}
    found = texts(influence_figure(curves, tmp_path / "influence.svg"))
    assert {"rnn", "lstm", "distance in tokens"} <= set(found)
    assert drawn == [([0, 1], [1.0, 0.25]), ([1, 2], [1.0, 0.5])]


def test_a_curve_of_which_nothing_is_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^rnn: no influence is known at any distance"):
        influence_figure({"rnn": torch.full((3,), torch.nan)}, tmp_path / "influence.svg")
    assert not (tmp_path / "influence.svg").exists()


def test_the_figure_of_learning_has_a_line_for_each_layer(tmp_path: Path) -> None:
    path = learning_figure(
        [1, 10, 100], {"decoder.0": [0.9, 0.6, 0.2], "decoder.1": [0.9, 0.8, 0.7]}, tmp_path / "l.svg"
    )
    assert {"decoder.0", "decoder.1", "step", "word alignment error"} <= set(texts(path))
