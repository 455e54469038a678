"""docs/public.md lists the public modules, and ``__all__`` of each has its public names."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

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


# first words and phrases of a clause that stands in the place of a noun: a reader must guess what it is about
_HEADLESS = re.compile(
    r"^(What|Whatever|Where|How|Who|Whom|Whose|Which|Of|By) |\bbut for\b|\bof (its|their|one's) own\b| what (?!to )"
)


def _documented(module: str) -> Iterator[tuple[str, Any]]:
    space = importlib.import_module(module)
    yield module, space
    for name in space.__all__:
        thing = getattr(space, name)
        yield f"{module}.{name}", thing
        for member, value in vars(thing).items() if inspect.isclass(thing) else ():
            value = getattr(value, "fget", None) or getattr(value, "__func__", value)
            if not member.startswith("_") and inspect.isfunction(value):
                yield f"{module}.{name}.{member}", value


@pytest.mark.parametrize("module", MODULES)
def test_first_lines_of_docstrings_name_their_subject(module: str) -> None:
    for name, thing in _documented(module):
        of_anejax = inspect.ismodule(thing) or str(getattr(thing, "__module__", "")).startswith("anejax")
        first = (inspect.getdoc(thing) or "").partition("\n")[0] if of_anejax else ""
        assert not _HEADLESS.search(first), f"{name}: name who does what, or what it is: {first}"


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
