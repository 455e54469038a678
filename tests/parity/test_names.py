"""The table of names agrees with the installed jax and with the package."""

# pyright: reportOptionalMemberAccess=false
from __future__ import annotations

import json
import re
import tomllib
import warnings
from collections import Counter

import jax
import pytest

import anejax
from anejax.absent import GROUPS
from anejax.errors import AbsentError
from tests.parity import arguments, table


def test_the_stored_names_are_those_of_jax() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert json.loads(table.stored(jax.__version__).read_text()) == table.names_of_jax(), (
            "run python -m tests.parity"
        )


def test_the_versions_are_those_that_the_project_pins() -> None:
    dev = tomllib.loads((table.HERE.parents[1] / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    pins = [re.match(r"jax\[cpu\]==([\d.]+)", d) for d in dev]
    assert [p[1] for p in pins if p] == table.versions(), (
        "run python -m tests.parity, and remove the old version's file"
    )


def test_every_name_has_a_verdict() -> None:
    missing = [f"{space}.{name}" for space, name, found in table.verdicts() if found is None]
    assert not missing, "implement them, or give the reason in anejax/absent.py"


def test_what_is_called_absent_is_absent_and_known_to_jax() -> None:
    for group in GROUPS:
        for module, names in group.names.items():
            space = f"jax.{module}".rstrip(".")
            if module.partition(".")[0] == "optim":
                continue  # of optax: test_optax_names.py
            for name in names.split():
                if "*" not in name:
                    assert name in table.names()[space], f"jax has no {space}.{name}"
                    assert table.verdict(space, name).group is group, (
                        f"{space}.{name} is here: remove it from absent.py"
                    )


@pytest.mark.parametrize("space", table.NAMESPACES)
def test_absent_names_say_why_and_what_to_use(space: str) -> None:
    for name in table.names()[space]:
        found = table.verdict(space, name)
        if found is not None and found.group is not None:
            with pytest.raises(AbsentError, match=r"^\[anejax.*\] .* is not (supported|there yet): ") as err:
                table.resolve(space, name)
            if f"] {name} is" in str(err.value):  # else its module is absent, and says so
                assert f": {found.group.why}. Instead, {found.group.instead}." in str(err.value)


def test_other_names_are_plain_attribute_errors() -> None:
    for module in (anejax, anejax.numpy, anejax.lax, anejax.random, anejax.debug):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'nothing'"):
            module.nothing  # noqa: B018
        assert not hasattr(module, "__nothing__")


def test_little_is_planned() -> None:
    kinds = Counter(found.kind for _, _, found in table.verdicts() if found)
    assert kinds["planned"] <= 0.10 * kinds.total()


def test_the_page_is_current() -> None:
    assert table.PAGE.read_text() == table.markdown() + arguments.markdown(), "run python -m tests.parity"
