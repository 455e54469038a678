"""What the package says of itself: its lazy names, its version, its types."""

from __future__ import annotations

import ast
import importlib.resources
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import anejax as aj


def imported_for_types(package: str) -> set[str]:
    """The names that `if TYPE_CHECKING:` imports in ``package/__init__.py``."""
    text = (importlib.resources.files(package) / "__init__.py").read_text()
    blocks = [n for n in ast.parse(text).body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    return {alias.asname or alias.name for block in blocks for i in block.body if isinstance(i, ast.ImportFrom)
            for alias in i.names}  # fmt: skip


@pytest.mark.parametrize("package", ["anejax", "anejax.scipy"])
def test_type_checkers_see_the_names_that_are_imported_when_asked_for(package: str) -> None:
    module = sys.modules.get(package) or importlib.import_module(package)
    assert imported_for_types(package) == set(module._LAZY)


def test_the_version_is_said() -> None:
    line = [sys.executable, "-m", "anejax", "--version"]
    assert subprocess.run(line, capture_output=True, text=True, check=True).stdout == f"anejax {aj.__version__}\n"


def test_type_checkers_read_the_package() -> None:
    assert (importlib.resources.files("anejax") / "py.typed").is_file()


def test_the_version_stands_in_two_places() -> None:
    root = Path(__file__).parents[2]
    assert tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"] == aj.__version__
