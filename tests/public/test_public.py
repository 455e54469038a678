"""docs/public.md lists the public modules, and ``__all__`` of each has its public names."""

from __future__ import annotations

import importlib
import inspect

import pytest

from tests.public import surface

MODULES = surface.modules()


def test_the_page_lists_the_modules_that_have_public_names() -> None:
    package = surface.ROOT / "anejax"
    with_all = {p for p in package.rglob("*.py") if "\n" + surface.START in p.read_text()}
    assert with_all == {surface.source_of(m) for m in MODULES}, "run `python -m tests.public`, or mend docs/public.md"


@pytest.mark.parametrize("module", MODULES)
def test_all_names_what_is_public(module: str) -> None:
    assert surface.declared(module) == surface.public_names(module), "run `python -m tests.public`"


@pytest.mark.parametrize("module", MODULES)
def test_public_names_exist_and_say_what_they_are(module: str) -> None:
    space = importlib.import_module(module)
    for name in space.__all__:
        thing = getattr(space, name)
        if inspect.isfunction(thing) or inspect.isclass(thing) or inspect.ismodule(thing):
            assert inspect.getdoc(thing), f"{module}.{name} has no docstring"


TYPED = {"key": "ArrayLike", "params": "PyTree", "updates": "PyTree", "init_val": "PyTree", "primals": "PyTree"}


@pytest.mark.parametrize("module", ["anejax", "anejax.random", "anejax.optim", "anejax.amp", "anejax.lora"])
def test_keys_and_trees_say_so_in_annotations(module: str) -> None:
    """``Any`` tells a reader nothing where ``PyTree`` or ``ArrayLike`` would."""
    space = importlib.import_module(module)
    for name in space.__all__:
        thing = getattr(space, name)
        own = inspect.isfunction(thing) and thing.__module__.startswith("anejax.")
        for parameter in inspect.signature(thing).parameters.values() if own else ():
            if parameter.name in TYPED:
                assert parameter.annotation != "Any", f"{module}.{name}: {parameter} is {TYPED[parameter.name]}"
