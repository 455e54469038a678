"""What the documentation shows runs: the README's program and every docstring example."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import anejax

README = (Path(__file__).parent.parent / "README.md").read_text()
MODULES = [
    m.name
    for m in pkgutil.walk_packages(anejax.__path__, "anejax.")
    if not m.name.endswith("__main__") and ".numpy" not in m.name  # tests/numpy has its own, on the NumPy oracle
]


def test_readme_program(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(program, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "{ lambda" in printed and "func main<ios18>" in printed


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str) -> None:
    module = importlib.import_module(name)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testmod(module, optionflags=flags).failed == 0
