"""docs/layers.md is made from the code: every layer in one line, and how many lines two whole networks take.

`ANEJAX_GOLDEN=write pytest tests/nn/test_page.py` writes it anew.
"""

from __future__ import annotations

import ast
import inspect
import os
from pathlib import Path
from typing import Any

from anejax import nn
from anejax.models import cifar, llama
from tests.nn.test_every_layer import BASES

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"
NETWORKS = {
    "CIFAR-10 (`anejax.models.cifar`)": [cifar.block, cifar.network],
    "Stories260K to Stories110M (`anejax.models.llama`)": [llama.Config, llama.attention, llama.block, llama.Llama],
}
HEAD = """# Layers

A layer is a small immutable object. `init(key, x)` returns `(params, state)` for inputs like `x`, where `x` is an array
or only a shape and dtype; the layer infers its sizes from it. `apply(params, state, x, key=None, train=False)` returns
`(y, state)`. Parameters and state are plain pytrees (`()` if a layer has none), so `jit`, `grad` and `vmap` work on
them. For example, `vmap` of `init` over keys makes an ensemble. A test generates this page from the code; other tests
compare each layer, its values and its gradients, with its formula.

| layer | computes |
|---|---|
"""
COUNTS = """
## Lines of code of whole networks

Docstrings, comments and blank lines are not counted:

| network | lines |
|---|---|
"""


def code_lines(thing: Any) -> int:
    """Lines that hold code; docstrings do not."""
    source = inspect.cleandoc("\n" + inspect.getsource(thing))
    tree = ast.parse(source)
    dropped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            dropped.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(1 for n, line in lines if n not in dropped and line.strip() and not line.strip().startswith("#"))


def page() -> str:
    layers = [(n, c) for n, c in inspect.getmembers(nn, inspect.isclass) if issubclass(c, nn.Layer) and c not in BASES]
    rows = "".join(
        f"| `{n}` | {(inspect.getdoc(c) or '').splitlines()[0].rstrip('.,:').replace('``', '`')} |\n" for n, c in layers
    )
    counts = "".join(f"| {name} | {sum(map(code_lines, parts))} |\n" for name, parts in NETWORKS.items())
    return HEAD + rows + COUNTS + counts


def test_a_line_is_counted_as_code_when_it_is() -> None:
    assert code_lines(cifar.block) == 5


def test_the_page_is_what_the_code_says() -> None:
    if os.environ.get("ANEJAX_GOLDEN") == "write":
        PAGE.write_text(page())
    assert PAGE.read_text() == page(), "run ANEJAX_GOLDEN=write pytest tests/nn/test_page.py"
