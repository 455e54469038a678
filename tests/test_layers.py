"""Imports point down only, no module imports the package from inside a function, no file is past 800 lines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from anejax.absent import group_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "anejax"

# A room imports rooms of lower layers only, and nothing of its own layer but itself (docs/architecture.md).
ORDER = [
    "callers errors marks protobuf records release terminal",
    "absent config paths treedefs",
    "dtypes foreign tree",
    "core mil",
    "coreai ops",
    "transforms",
    "passes",
    "lower",
    "partition",
    "runtime",
    "api debug orbax tree_util typing",
    "ad_checkpoint custom_batching custom_derivatives numpy sharding stages test_util",
    "amp dlpack flatten_util image lax profiler",
    "distributed random",
    "nn saving scipy",
    "engine interop lora optim",
    "__init__",
    "compat export models",
    "data",
    "train",
    "cli",
    "__main__",
]
LAYERS: dict[str, int] = {name: layer for layer, names in enumerate(ORDER) for name in names.split()}

# rooms that must not know each other although a lower layer would allow it
APART = {("ops", "mil"), ("transforms", "mil"), ("coreai", "core")}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    """The room of a module; a program that is run by ``python -m`` stands above all."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "__main__" if parts[-1] == "__main__" else parts[0]


def imported_rooms(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "anejax":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            modules = [a.name.split(".") for a in node.names if a.name.split(".")[0] == "anejax"]
            found |= {parts[1] if len(parts) > 1 else "__init__" for parts in modules}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = room(path)
    assert own in LAYERS, f"{own} has no layer: give it one here and in docs/architecture.md"
    for other in imported_rooms(ast.parse(path.read_text())) - {own}:
        if own == "__init__" and LAYERS.get(other, 0) > LAYERS[own]:
            continue  # names for type checkers, which are imported when they are first used
        layer = LAYERS.get(other, LAYERS["__init__"])  # names of the package itself: jit, grad, ...
        assert layer < LAYERS[own], f"{path.name} imports {other}, which does not lie below {own}"
        assert (own, other) not in APART, f"{own} must not know {other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_function_imports_the_package(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and room(path) not in ("cli", "__main__"):
            assert not imported_rooms(ast.Module(node.body, [])), f"{path.name}: {node.name} imports anejax locally"


def test_no_module_hides_that_a_name_is_absent() -> None:
    """A module that is imported becomes an attribute of its package, and jax's name of it would not be absent there."""
    for path in MODULES:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        *package, name = ("", *parts[:-1]) if path.name == "__init__.py" else ("", *parts)
        assert group_of(".".join(package[1:]), name) is None, f"{path} has the name of what is absent"


def test_only_library_uses_ctypes() -> None:
    users = {p.name for p in MODULES if "ctypes" in p.read_text().replace("``ctypes``", "")}
    assert users <= {"library.py"}


def test_no_file_is_past_800_lines() -> None:
    sources = [
        *MODULES,
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "native").rglob("*.cpp"),
        *(ROOT / "native").rglob("*.h"),
    ]
    long = {str(p.relative_to(ROOT)): n for p in sources if (n := len(p.read_text().splitlines())) > 800}
    assert not long
