"""The table of optax's names agrees with the installed optax and with anejax.optim."""

import pytest

from anejax import optim
from anejax.errors import AbsentError
from tests.parity import optax


def test_the_stored_names_are_those_of_optax():
    assert optax.names() == optax.names_of_optax(), "run python -m tests.parity.optax"


def test_every_name_has_a_verdict_and_the_page_is_current():
    missing = [f"{space}.{n}" for space, listed in optax.names().items() for n in listed if not optax.verdict(space, n)]
    assert not missing, "implement them, or give the reason in anejax/absent.py"
    assert optax.PAGE.read_text() == optax.markdown(), "run python -m tests.parity.optax"


def test_absent_names_say_why_and_are_names_of_optax():
    for group in optax.GROUPS:
        for module, names in group.names.items():
            if module == "optim" or module.startswith("optim."):
                space = module.removeprefix("optim").removeprefix(".")
                for name in names.split():
                    assert name in optax.names()[space]
                    with pytest.raises(AbsentError, match=rf"\] {name} is not supported: .* Instead, "):
                        getattr(getattr(optim, space) if space else optim, name)
