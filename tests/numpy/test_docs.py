"""Every public function has a docstring, and the examples in them run."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import anejax.lax
import anejax.numpy
import anejax.tree
import anejax.tree_util
from tests.test_docs import has_examples

MODULES = [f"anejax.numpy.{m.name}" for m in pkgutil.iter_modules(anejax.numpy.__path__)]
MODULES += ["anejax.lax", "anejax.tree", "anejax.tree_util"]


@pytest.mark.parametrize("name", [m for m in MODULES if has_examples(m)])
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0 and result.attempted > 0


@pytest.mark.parametrize("namespace", [anejax.numpy, anejax.numpy.linalg, anejax.lax, anejax.tree_util, anejax.tree])
def test_docstrings(namespace):
    for name, value in vars(namespace).items():
        if not name.startswith("_") and inspect.isfunction(value):
            assert inspect.getdoc(value), f"{namespace.__name__}.{name}"
