"""Types of derivatives, held against jax: a weak value has weak derivatives, which do not widen what they meet."""

from typing import Any

import jax
import jax.numpy
import pytest

import anejax as aj
import anejax.numpy

CASES = {
    "a Python scalar": lambda j: j.grad(lambda x: x * x)(2.0),
    "two Python scalars": lambda j: j.grad(lambda x, y: x * y, (0, 1))(2.0, 3.0),
    "value and derivative": lambda j: j.value_and_grad(lambda x: j.numpy.sin(x))(2.0),
    "a strong scalar": lambda j: j.grad(lambda x: x * 2.0)(j.numpy.float32(2)),
    "second order": lambda j: j.grad(j.grad(lambda x: x**3))(2.0),
    "under jit": lambda j: j.jit(j.grad(lambda x: x * x))(2.0),
    "zero": lambda j: j.grad(j.numpy.floor)(1.5),
    "strong zero": lambda j: j.grad(j.numpy.floor)(j.numpy.float32(1.5)),
    "zero of what is not used": lambda j: j.grad(lambda x, y: x * 2.0, 1)(1.0, 2.0),
    "zero forwards": lambda j: [j.jvp(j.numpy.floor, (1.5,), (1.0,))[1], j.linearize(j.numpy.floor, 1.5)[1](1.0)],
    "zero backwards": lambda j: j.vjp(j.numpy.floor, 1.5)[1](1.0),
    "zero under jit": lambda j: j.jit(j.grad(j.numpy.floor))(1.5),
    "forwards": lambda j: [
        j.jvp(f, (0.5,), (1.0,))[1] for f in (j.numpy.square, j.numpy.sqrt, j.numpy.tanh, j.lax.erf)
    ],
    "strong forwards": lambda j: j.jvp(j.numpy.sqrt, (j.numpy.float32(0.5),), (j.numpy.float32(1),))[1],
    "linearized": lambda j: [j.linearize(f, 0.5)[1](1.0) for f in (j.numpy.square, j.numpy.sqrt, j.numpy.expm1)],
    "times bfloat16": lambda j: j.grad(lambda x: x * x)(2.0) * j.numpy.ones(2, j.numpy.bfloat16),
}


def types(tree: Any, library: Any) -> list[tuple[str, tuple[int, ...], bool]]:
    leaves = library.tree.leaves(tree)
    assert all(isinstance(x, library.Array) for x in leaves)
    return [(x.dtype.name, x.shape, x.weak_type) for x in leaves]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_derivatives_have_the_types_of_jax(case: Any) -> None:
    assert types(case(aj), aj) == types(case(jax), jax)


@pytest.mark.parametrize("m", [jax, aj], ids=["jax", "anejax"])
def test_derivatives_at_a_point_are_trees(m: Any) -> None:
    """Jitted functions return them and take them; they carry the arrays that they need."""
    back = m.jit(lambda x: m.vjp(lambda y: m.numpy.sin(y) * y, x)[1])(3.0)
    push = m.jit(lambda x: m.linearize(lambda y: y**3, x)[1])(2.0)
    assert float(m.jit(lambda f, ct: f(ct)[0])(back, 2.0)) == pytest.approx(2 * (0.14112 - 3 * 0.98999), rel=1e-4)
    assert float(m.jit(lambda f, t: f(t))(push, 0.5)) == 6.0
    assert m.tree.leaves(back) and m.tree.leaves(push)
    _, back, aux = m.vjp(lambda x: (x * x, x + 1), 3.0, has_aux=True)
    assert float(back(1.0)[0]) == 6.0 and float(aux) == 4.0
