"""Figures of recorded values, drawn with matplotlib: SVG, PDF or PNG by the file's ending."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from keifu.errors import ConfigError
from keifu.trace import Trace

# The first of these that the machine has is used; a reader of an SVG draws its text with a font of its own.
_FONTS = ["Noto Sans CJK JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "DejaVu Sans"]


def attention_figure(trace: Trace, name: str, path: str | Path, head: int | None = None) -> Path:
    """Draws recorded attention weights as a map, a row for each token that reads, a column for each token that is
    read. Where a decoder reads the source, a row is named by the token that it predicts.

    name: as "decoder.1.cross_attention.weights". head: one head; None is the mean over all. The scale is fixed from 0
    to 1. Raises ConfigError where matplotlib is missing.
    """
    recorded = trace[name]
    weights = recorded.value[0].float()
    weights = weights.mean(0) if head is None else weights[head]
    read = recorded.sequences.get("S", "position")
    reader = "predicted" if recorded.sequences.get("T") != read else read
    columns = trace.labels(recorded, "S") or [str(place) for place in range(weights.shape[1])]
    rows = trace.sequences.get(reader, columns)
    shown = "mean of the heads" if head is None else f"head {head}"
    return _draw_map(weights, (reader, rows), (read, columns), f"{name}, {shown}", Path(path))


def _draw_map(
    weights: Tensor, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], title: str, path: Path
) -> Path:
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
        size = (1.5 + 0.42 * len(columns[1]), 1.2 + 0.36 * len(rows[1]))
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(weights.cpu().numpy(), cmap="cividis", vmin=0, vmax=1)
        axes.set_xticks(range(len(columns[1])), [label.strip() or "␣" for label in columns[1]], rotation=60, ha="right")
        axes.set_yticks(range(len(rows[1])), [label.strip() or "␣" for label in rows[1]])
        axes.set_xlabel(columns[0])
        axes.set_ylabel(rows[0])
        axes.set_title(title, fontsize=9)
        figure.colorbar(image, label="weight")
        figure.savefig(path)
    if path.suffix != ".svg" and any("missing from font" in str(warning.message) for warning in caught):
        warnings.warn(f"no font here has all characters of {path}; install {_FONTS[0]}, or draw an .svg", stacklevel=3)
    return path
