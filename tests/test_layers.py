"""Imports point down only, no module imports the package from inside a function, no file is past 800 lines."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from anejax.absent import group_of

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "anejax"

# room -> layer; a module may import rooms of its own layer's package or of lower layers (docs/architecture.md)
LAYERS: dict[str, int] = {
    "errors": 0, "config": 0, "paths": 0, "foreign": 0, "records": 0, "terminal": 0, "marks": 0, "callers": 0,
    "absent": 1, "dtypes": 1, "treedefs": 1, "tree": 1,
    "core": 2, "mil": 2,
    "ops": 3, "coreai": 3,
    "transforms": 4,
    "passes": 5,
    "lower": 6,
    "partition": 7,
    "runtime": 8,
    "api": 9, "numpy": 9, "lax": 9, "random": 9, "scipy": 9, "nn": 9, "optim": 9, "tree_util": 9, "debug": 9,
    "typing": 9, "stages": 9, "dlpack": 9, "flatten_util": 9, "custom_batching": 9, "custom_derivatives": 9,
    "test_util": 9, "amp": 9, "ad_checkpoint": 9, "image": 9, "profiler": 9, "sharding": 9, "distributed": 9,
    "saving": 9, "orbax": 9, "lora": 9, "__init__": 9,
    "export": 10, "interop": 10, "compat": 10, "engine": 10, "data": 10, "models": 10, "train": 10, "cli": 10,
    "__main__": 10,
}  # fmt: skip

# rooms that must not know each other although a lower layer would allow it
APART = {("mil", "core"), ("core", "mil"), ("ops", "mil"), ("transforms", "mil"), ("coreai", "core")}

MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_rooms(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "anejax":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {a.name for a in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("anejax.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = room(path)
    assert own in LAYERS, f"{own} has no layer: give it one here and in docs/architecture.md"
    for other in imported_rooms(ast.parse(path.read_text())):
        if other == own or own == "__init__":
            continue
        layer = LAYERS.get(other, 9)  # names of the package itself (jit, grad, ...) are its public layer
        assert layer <= LAYERS[own], f"{path.name} imports {other}, which lies above {own}"
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
