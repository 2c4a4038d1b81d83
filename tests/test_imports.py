"""Who may import whom: every file of the package is read, and each import of our own held against the rules.

Rooms lie on floors. A room imports from floors below it, never from its own floor or above; `ALLOWED` names the
exceptions. A model imports only earlier entries of LINEAGE. Imports inside functions stand only in the command line
and in the lazy public face.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import keifu
from keifu.models import LINEAGE

PACKAGE = Path(keifu.__file__).parent

FLOORS = (  # from the ground up
    ("errors",),
    ("trace", "config", "interface"),
    ("layers", "text"),
    ("models", "data"),
    ("tasks",),
    ("checkpoint",),
    ("training", "generation", "interop"),
    ("views",),
    ("comparison",),
    ("session",),
    ("serve",),
    ("cli",),
    ("", "__main__"),  # the public face, keifu/__init__.py
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ALLOWED = {("training", "generation")}
FORBIDDEN = {("tasks", "models")}
LAZY = ("", "cli")


@dataclass(frozen=True)
class Import:
    """An import of one of our own modules: who, on which line, what, and whether it stands inside a function."""

    importer: str
    line: int
    imported: str
    inside: bool


def imports_of(module: str, source: str, package: bool, known: set[str]) -> Iterator[Import]:
    """The imports of our own modules in a file, those for type checkers included."""
    tree = ast.parse(source)
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    inside = {id(inner) for node in ast.walk(tree) if isinstance(node, functions) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parts = parts[: len(parts) - node.level + package]
                base = ".".join([*parts, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in known else base for name in names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names = [argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant)]
        for name in dict.fromkeys(names):
            if name.split(".")[0] == "keifu":
                yield Import(module, node.lineno, name, id(node) in inside)


def room(module: str) -> str:
    """keifu.layers.attention is in "layers", keifu itself in ""."""
    return module.split(".")[1] if "." in module else ""


def problem(found: Import, lineage: list[str]) -> str | None:
    """What is wrong with an import, or None."""
    who, whom = room(found.importer), room(found.imported)
    for name in (who, whom):
        if name not in FLOOR:
            return f"the room {name!r} is on no floor; add it to DESIGN and to FLOORS"
    if found.inside and who not in LAZY:
        return "it stands inside a function; move it to the top of the file"
    if who == whom == "models":
        if found.imported == "keifu.models":
            return None if found.importer not in lineage else "a model does not ask for the lineage"
        if found.importer not in lineage or found.imported not in lineage:
            return "models share nothing but earlier entries of LINEAGE"
        if lineage.index(found.imported) >= lineage.index(found.importer):
            return "a model imports only earlier entries of LINEAGE"
        return None
    if who == whom or (who, whom) in ALLOWED:
        return None
    if (who, whom) in FORBIDDEN:
        return f"{who} never imports {whom}"
    if FLOOR[who] == FLOOR[whom]:
        return f"{who} and {whom} are siblings"
    if FLOOR[who] < FLOOR[whom]:
        return f"{whom or 'the public face'} lies above {who}"
    return None


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["keifu", *path.relative_to(PACKAGE).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


LINEAGE_MODULES = list(dict.fromkeys(ancestor.module for ancestor in LINEAGE.values()))


def test_imports_point_downward() -> None:
    known = modules()
    assert len(known) > 30
    mistakes, seen = [], 0
    for module, path in known.items():
        source = path.read_text("utf-8")
        for found in imports_of(module, source, path.name == "__init__.py", set(known)):
            seen += 1
            if text := problem(found, LINEAGE_MODULES):
                place = f"{path.relative_to(PACKAGE.parent)}:{found.line}"
                mistakes.append(f"{place}: imports {found.imported}: {text}")
    assert seen > 50
    assert not mistakes, "\n" + "\n".join(mistakes)


def test_every_model_file_is_in_the_lineage() -> None:
    files = {module for module in modules() if module.startswith("keifu.models.")}
    assert files == set(LINEAGE_MODULES)


RULES = {
    "a floor below": ("keifu.session", "from keifu.tasks.alignment import x", None),
    "the room itself": ("keifu.training.run", "from keifu.training import loop", None),
    "training asks generation": ("keifu.training.evaluation", "from keifu.generation.search import greedy", None),
    "the command line, late": ("keifu.cli.commands", "def f():\n    from keifu.session import load", None),
    "the public face, late": ("keifu", "def f():\n    import keifu.session", None),
    "an earlier model": ("keifu.models.b", "from keifu.models.a import A", None),
    "another package": ("keifu.errors", "def f():\n    import torch", None),
    "a floor above": ("keifu.layers.norms", "from keifu.models import LINEAGE", "models lies above layers"),
    "above, relatively": ("keifu.layers.norms", "from ..models import LINEAGE", "models lies above layers"),
    "above, as a module": ("keifu.data.batches", "import keifu.session", "session lies above data"),
    "above, for types": ("keifu.trace", "if TYPE_CHECKING:\n    from keifu.layers.norms import N", "above trace"),
    "above, by the package": ("keifu.tasks.translation", "from keifu import training", "training lies above tasks"),
    "above, by name": ("keifu.trace", 'm = importlib.import_module("keifu.layers.norms")', "layers lies above trace"),
    "the public face": ("keifu.training.run", "from keifu import load", "the public face lies above training"),
    "a sibling": ("keifu.layers.norms", "from keifu.text import Tokenizer", "siblings"),
    "generation asks training": ("keifu.generation.search", "import keifu.training.loop", "siblings"),
    "a task asks a model": ("keifu.tasks.translation", "from keifu.models import LINEAGE", "never imports"),
    "late": ("keifu.training.run", "def f():\n    import keifu.trace", "inside a function"),
    "late in a method": (
        "keifu.views.x",
        "class C:\n    def f(self):\n        import keifu.trace",
        "inside a function",
    ),
    "a later model": ("keifu.models.a", "from keifu.models.b import B", "only earlier"),
    "a model's private file": ("keifu.models.a", "from keifu.models.parts import P", "share nothing"),
    "a new room": ("keifu.utils", "import keifu.errors", "on no floor"),
}


@pytest.mark.parametrize(("module", "source", "wanted"), RULES.values(), ids=RULES.keys())
def test_the_rules_find_what_they_should(module: str, source: str, wanted: str | None) -> None:
    known = {"keifu.training", "keifu.training.loop", "keifu.models.a", "keifu.models.b", "keifu.models.parts"}
    found = [
        text
        for one in imports_of(module, source, module in ("keifu",), known)
        if (text := problem(one, ["keifu.models.a", "keifu.models.b"]))
    ]
    if wanted is None:
        assert not found
    else:
        assert len(found) == 1
        assert wanted in found[0]
