"""``test_util.check_grads``: right derivatives pass, in each mode and order, and wrong ones do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import test_util

MODES = ("fwd", "rev", "lin")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x: jnp.sin(x) * x, (0.7,)),
        (lambda x, y: {"a": x @ y, "b": jnp.exp(x).sum()}, (np.ones((2, 3), "f"), np.full((3, 1), 0.3, "f"))),
        (lambda x, n: x * n, (np.float32(1.5), 3)),
        (lambda z: z * z, (np.complex64(0.3 + 0.4j),)),
        (lambda x: (x * jnp.zeros((0, 2)), jnp.inf), (np.float32(1.0),)),
    ],
)
def test_right_derivatives_pass(mode: str, f: Any, args: Any) -> None:
    test_util.check_grads(f, args, 2, modes=[mode], eps=1e-2)


def test_in_float64_little_is_allowed() -> None:
    with aj.enable_x64(True):
        test_util.check_grads(jnp.tanh, (np.float64(0.4),), 2, rtol={np.float64: 1e-6})


@aj.custom_jvp
def wrong(x: Any) -> Any:
    return jnp.sin(x)


wrong.defjvp(lambda primals, tangents: (jnp.sin(primals[0]), tangents[0] * jnp.cos(primals[0]) * 1.5))


@pytest.mark.parametrize("mode", MODES)
def test_wrong_derivatives_do_not(mode: str) -> None:
    with pytest.raises(AssertionError, match=f"{mode} derivative"):
        test_util.check_grads(wrong, (0.5,), 1, modes=[mode])
    test_util.check_grads(wrong, (0.5,), 1, modes=[mode], rtol=1.0)


def test_a_wrong_second_derivative_and_unknown_modes() -> None:
    f = aj.custom_jvp(lambda x: x**3)
    f.defjvp(lambda primals, tangents: (primals[0] ** 3, tangents[0] * 3 * aj.lax.stop_gradient(primals[0]) ** 2))
    test_util.check_grads(f, (0.5,), 1)
    with pytest.raises(AssertionError, match="derivative"):
        test_util.check_grads(f, (0.5,), 2)
    with pytest.raises(ValueError, match="expected modes of fwd, rev and lin, got back"):
        test_util.check_grads(f, (0.5,), 1, modes=["back"])
