"""What the documentation shows runs: the README's program and every docstring example."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import pkgutil
import re
from pathlib import Path

import pytest

import anejax

README = (Path(__file__).parent.parent / "README.md").read_text()
MODULES = [m.name for m in pkgutil.walk_packages(anejax.__path__, "anejax.") if not m.name.endswith("__main__")]


def has_examples(module: str) -> bool:
    """Whether a module's source has an interactive example that is not skipped; the source is read, not imported."""
    found = importlib.util.find_spec(module)
    lines = Path(found.origin).read_text().splitlines() if found and found.origin else []
    return any(">>> " in line and "doctest: +SKIP" not in line for line in lines)


def test_readme_program(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "{ lambda" in printed and "func main<ios18>" in printed


def test_every_module_is_imported_by_itself() -> None:
    for name in MODULES:
        assert importlib.import_module(name).__name__ == name


# tests/numpy/test_docs.py runs the examples of anejax.numpy, on the NumPy oracle
@pytest.mark.parametrize("name", [m for m in MODULES if ".numpy" not in m and has_examples(m)])
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(module, optionflags=flags)
    assert result.failed == 0 and result.attempted > 0
