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
    "times bfloat16": lambda j: j.grad(lambda x: x * x)(2.0) * j.numpy.ones(2, j.numpy.bfloat16),
}


def types(tree: Any, library: Any) -> list[tuple[str, tuple[int, ...], bool]]:
    return [(x.dtype.name, x.shape, x.weak_type) for x in library.tree.leaves(tree)]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_derivatives_have_the_types_of_jax(case: Any) -> None:
    assert types(case(aj), aj) == types(case(jax), jax)
