"""Figures of recorded values, drawn with matplotlib: SVG, PDF or PNG by the file's ending."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from keifu.errors import ConfigError
from keifu.trace import Trace

# The first of these that the machine has is used; a reader of an SVG draws its text with a font of its own.
_FONTS = ["Noto Sans CJK JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "DejaVu Sans"]


def attention_figure(trace: Trace, name: str, path: str | Path, head: int | None = None) -> Path:
    """Draws recorded attention weights as a map, a row for each predicted token, a column for each token that was
    read.

    name: as "decoder.1.cross_attention.weights". head: one head; None is the mean over all. The scale is fixed from 0
    to 1. Raises ConfigError where matplotlib is missing.
    """
    recorded = trace[name]
    weights = recorded.value[0].float()
    weights = weights.mean(0) if head is None else weights[head]
    columns = trace.labels(recorded, "S") or [str(place) for place in range(weights.shape[1])]
    reads_itself = trace.labels(recorded, "T") == trace.labels(recorded, "S")
    rows = columns if reads_itself else trace.sequences["predicted"]
    shown = "mean of the heads" if head is None else f"head {head}"
    return _draw_map(weights, rows, columns, f"{name}, {shown}", Path(path))


def _draw_map(weights: Tensor, rows: Sequence[str], columns: Sequence[str], title: str, path: Path) -> Path:
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.42 * len(columns), 1.2 + 0.36 * len(rows)), layout="constrained")
    image = axes.imshow(weights.cpu().numpy(), cmap="cividis", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), [label.strip() or "␣" for label in columns], rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), [label.strip() or "␣" for label in rows])
    axes.set_xlabel("source")
    axes.set_ylabel("predicted")
    axes.set_title(title, fontsize=9)
    figure.colorbar(image, label="weight")
    figure.savefig(path)
    pyplot.close(figure)
    return path


def _pyplot() -> Any:
    try:
        import matplotlib
        from matplotlib import font_manager
    except ImportError:
        raise ConfigError("figures need matplotlib; install it with: pip install 'keifu[plot]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    installed = {font.name for font in font_manager.fontManager.ttflist}
    matplotlib.rcParams["font.family"] = [name for name in _FONTS if name in installed]
    matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
    matplotlib.rcParams["pdf.fonttype"] = 42
    return pyplot
