"""Figures of recorded values, drawn with matplotlib: SVG, PDF or PNG by the file's ending."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy import ndenumerate
from torch import Tensor

from keifu.errors import ConfigError
from keifu.trace import Trace
from keifu.views.paths import PathLengths

# The first of these that the machine has is used; a reader of an SVG draws its text with a font of its own.
_FONTS = ["Noto Sans CJK JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "DejaVu Sans"]


def attention_figure(trace: Trace, name: str, path: str | Path, head: int | None = None) -> Path:
    """Draws recorded attention weights as a map, a row for each token that reads, a column for each token that is
    read. Where a decoder reads the source, a row is named by the token that it predicts.

    name: as "decoder.1.cross_attention.weights". head: one head; None is the mean over all. The scale is fixed from 0
    to 1. Raises ConfigError for a value that is no map of attention, or where matplotlib is missing.
    """
    recorded = trace[name]
    if recorded.letters != ["B", "H", "T", "S"]:
        raise ConfigError(f"{name}: has the axes {recorded.axes}; expected B H T S, as attention weights have")
    weights = recorded.value[0].float()
    weights = weights.mean(0) if head is None else weights[head]
    read = recorded.sequences.get("S", "position")
    reader = "predicted" if recorded.sequences.get("T") != read else read
    columns = trace.labels(recorded, "S") or [str(place) for place in range(weights.shape[1])]
    rows = trace.sequences.get(reader, columns)
    shown = "mean of the heads" if head is None else f"head {head}"
    return _draw_map(weights, (reader, rows), (read, columns), f"{name}, {shown}", Path(path))


def path_figure(lengths: PathLengths, path: str | Path) -> Path:
    """Draws how many blocks stand between each token that is read, a column each, and each output, a row each. Raises
    ConfigError where matplotlib is missing.
    """
    numbers = torch.cat(list(lengths.outputs.values()), dim=1)
    *_, written = lengths.outputs
    columns = [label for tokens in lengths.tokens.values() for label in tokens]
    rows = lengths.tokens[written]
    if len(numbers) == 1 or len(rows) != len(numbers):  # one output for all that is read
        rows = ["output"] * len(numbers)

    def draw(axes: Any) -> Any:
        image = axes.imshow(numbers.where(numbers.isfinite(), torch.nan).numpy(), cmap="cividis", vmin=0)
        middle = numbers[numbers.isfinite()].max() / 2
        for (row, column), number in ndenumerate(numbers.numpy()):
            if math.isfinite(number):
                colour = "white" if number < middle else "black"
                axes.text(column, row, f"{number:.0f}", ha="center", va="center", fontsize=8, color=colour)
        _label(axes, ("output at", rows), ("token", columns))
        axes.set_title("blocks on the shortest way", fontsize=9)
        return image

    return _drawn(draw, _size_of_map(rows, columns), Path(path), "blocks")


def influence_figure(curves: Mapping[str, Tensor], path: str | Path) -> Path:
    """Draws how influence falls with distance, a line for each named model, relative to that of distance 0. Raises
    ConfigError where nothing is known of a model, and where matplotlib is missing.
    """
    for name, curve in curves.items():
        if not curve.isfinite().any():
            raise ConfigError(f"{name}: no influence is known at any distance; measure it on texts of several tokens")

    def draw(axes: Any) -> None:
        for name, curve in curves.items():
            known = curve.isfinite().nonzero().squeeze(1)
            axes.semilogy(known.numpy(), (curve[known] / curve[known[0]]).numpy(), label=name)
        axes.set_xlabel("distance in tokens")
        axes.set_ylabel("influence, relative to the nearest")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()

    return _drawn(draw, (6.4, 4.0), Path(path))


def learning_figure(steps: Sequence[int], errors: Mapping[str, Sequence[float]], path: str | Path) -> Path:
    """Draws how a share of errors changes along training, a line for each name. Raises ConfigError where matplotlib is
    missing.
    """

    def draw(axes: Any) -> None:
        for name, values in errors.items():
            axes.semilogx(steps, values, label=name, marker=".")
        axes.set_ylim(0, 1)
        axes.set_xlabel("step")
        axes.set_ylabel("word alignment error")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()

    return _drawn(draw, (6.4, 4.0), Path(path))


def _draw_map(
    weights: Tensor, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], title: str, path: Path
) -> Path:
    def draw(axes: Any) -> Any:
        image = axes.imshow(weights.cpu().numpy(), cmap="cividis", vmin=0, vmax=1)
        _label(axes, rows, columns)
        axes.set_title(title, fontsize=9)
        return image

    return _drawn(draw, _size_of_map(rows[1], columns[1]), path, "weight")


def _size_of_map(rows: Sequence[str], columns: Sequence[str]) -> tuple[float, float]:
    return 1.5 + 0.42 * len(columns), 1.2 + 0.36 * len(rows)


def _label(axes: Any, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]]) -> None:
    axes.set_xticks(range(len(columns[1])), [label.strip() or "␣" for label in columns[1]], rotation=60, ha="right")
    axes.set_yticks(range(len(rows[1])), [label.strip() or "␣" for label in rows[1]])
    axes.set_xlabel(columns[0])
    axes.set_ylabel(rows[0])


def _drawn(draw: Callable[[Any], Any], size: tuple[float, float], path: Path, scale: str | None = None) -> Path:
    """Writes a figure. draw: is given its axes; what it returns is explained by a scale of this name."""
    try:
        import matplotlib
        from matplotlib import font_manager
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError("figures need matplotlib; install it with: pip install 'keifu[plot]'") from None
    installed = {font.name for font in font_manager.fontManager.ttflist}
    style: Any = {
        "font.family": [name for name in _FONTS if name in installed],
        "svg.fonttype": "none",  # text stays text
        "pdf.fonttype": 42,
        "text.parse_math": False,  # a dollar sign is a dollar sign
    }
    with matplotlib.rc_context(style), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = Figure(figsize=size, layout="constrained")
        image = draw(figure.subplots())
        if scale is not None:
            figure.colorbar(image, label=scale)
        figure.savefig(path)
    if path.suffix != ".svg" and any("missing from font" in str(warning.message) for warning in caught):
        warnings.warn(f"no font here has all characters of {path}; install {_FONTS[0]}, or draw an .svg", stacklevel=4)
    return path
