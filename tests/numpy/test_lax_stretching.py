"""Binary functions of jax.lax stretch axes of length 1 of operands of one rank; products take several dtypes."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.errors import ShapeError

ROW, BOTH, COLUMN = (np.linspace(1, 2, np.prod(s), dtype=np.float32).reshape(s) for s in ((1, 3), (2, 3), (2, 1)))
FLOATS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "rem": np.fmod, "pow": np.power,
    "max": np.maximum, "min": np.minimum, "atan2": np.arctan2, "nextafter": np.nextafter, "eq": np.equal,
    "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "complex": lambda x, y: x + 1j * y, "igamma": scipy.special.gammainc, "igammac": scipy.special.gammaincc,
    "zeta": lambda x, y: scipy.special.zeta(x + np.float64(0.5), y),
}  # fmt: skip
INTEGERS = {
    "bitwise_and": np.bitwise_and, "bitwise_or": np.bitwise_or, "bitwise_xor": np.bitwise_xor,
    "shift_left": np.left_shift, "shift_right_logical": np.right_shift, "shift_right_arithmetic": np.right_shift,
}  # fmt: skip


@pytest.mark.parametrize("name", [*FLOATS, *INTEGERS])
@pytest.mark.parametrize("x, y", [(ROW, BOTH), (COLUMN, ROW), (BOTH, COLUMN)])
def test_axes_of_length_1_are_stretched(name, x, y):
    wide = name in INTEGERS
    x, y = ((v * 7).astype(np.int32) if wide else v for v in (x, y))
    first = x + np.float32(0.5) if name == "zeta" else x
    out = getattr(lax, name)(jnp.asarray(first), y)
    expected = (INTEGERS if wide else FLOATS)[name](x, y)
    assert out.shape == expected.shape == (2, 3)
    np.testing.assert_allclose(out, expected, rtol=1e-5)


def test_ranks_are_not():
    for x, y in ((ROW[0], BOTH), (BOTH, ROW[0]), (ROW[:, :2], BOTH)):
        with pytest.raises(ShapeError, match=r"\[add\]"):
            lax.add(x, y)
    with pytest.raises(ShapeError, match=r"\[igamma\]"):
        lax.igamma(ROW[0], BOTH)
    with pytest.raises(ShapeError, match=r"\[clamp\]"):
        lax.clamp(ROW, BOTH, ROW)


def test_derivatives_of_stretched_operands_are_sums():
    """d sum(x y) / dx = the sums of y along the axes that x was stretched along."""
    grads = aj.jit(aj.grad(lambda x, y: jnp.sum(lax.mul(x, y)), (0, 1)))(ROW, COLUMN)
    np.testing.assert_allclose(grads[0], np.broadcast_to(COLUMN.sum(), (1, 3)), rtol=1e-6)
    np.testing.assert_allclose(grads[1], np.broadcast_to(ROW.sum(), (2, 1)), rtol=1e-6)
    mapped = aj.vmap(lax.add)(np.stack([ROW, ROW + 1]), np.stack([COLUMN, COLUMN]))
    np.testing.assert_array_equal(mapped, np.stack([ROW + COLUMN, ROW + 1 + COLUMN]))


def test_powers_may_be_integers():
    x, n = np.float32([[2, 3, 0]]), np.int32([[3], [0]])
    out = lax.pow(jnp.asarray(x), jnp.asarray(n))
    np.testing.assert_array_equal(out, np.float32([[8, 27, 0], [1, 1, 1]]))
    slope = aj.grad(lambda x: jnp.sum(lax.pow(x, jnp.asarray(n))))(jnp.asarray(x))
    np.testing.assert_array_equal(slope, np.float32([[12, 27, 0]]))


@pytest.mark.parametrize(
    "first, second, joint",
    [("float32", "int32", "float32"), ("int8", "bfloat16", "bfloat16"), ("bfloat16", "float32", "float32"),
     ("int8", "int32", "int32"), ("float32", "complex64", "complex64"), ("uint8", "bool", "uint8")],
)  # fmt: skip
def test_factors_meet_in_one_dtype(first, second, joint):
    x, y = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4) % 2
    with aj.numpy_dtype_promotion("strict"):
        out = lax.dot(jnp.asarray(x, first), jnp.asarray(y, second))
    assert out.dtype == joint
    np.testing.assert_array_equal(np.asarray(out, np.complex64), x @ y)


def test_products_in_a_wider_dtype():
    out = lax.mul(jnp.int8(100), jnp.asarray([100, -100], "int8"), out_dtype="int32")
    np.testing.assert_array_equal(out, np.int32([10000, -10000]))
    assert lax.mul(np.float32([1 / 3]), np.float32([3]), out_dtype="float16").dtype == "float16"
    kernel, x = jnp.ones((1, 2, 2), "int8"), jnp.full((1, 2, 3), 100, "int8")
    for target in ("int32", "float32"):
        out = lax.conv(x, kernel, (1,), "VALID", preferred_element_type=target)
        np.testing.assert_array_equal(out, np.full((1, 1, 2), 400, target))
