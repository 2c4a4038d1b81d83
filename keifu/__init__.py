"""keifu 系譜: the family of sequence models in one library.

    run = keifu.train("translation", data="builtin:enja", max_time="3m")
    model = keifu.load("runs/enja-transformer-1")
    model.translate("I like cats.")

The names below are imported when they are first used, so that `import keifu` costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keifu.session import load, train

__all__ = ["load", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import keifu.session

        return getattr(keifu.session, name)
    raise AttributeError(f"module 'keifu' has no attribute {name!r}")
