"""Rules for jax's elementwise primitives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anejax.numpy as jnp
from anejax import lax
from anejax.errors import RefusedError
from anejax.interop.interpret import rule

# jax's primitives with the name of a function in anejax.lax, whose arguments are the operands
_SAME = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bessel_i0e",
    "bessel_i1e",
    "cbrt",
    "ceil",
    "clamp",
    "clz",
    "complex",
    "conj",
    "cos",
    "cosh",
    "digamma",
    "div",
    "eq",
    "erf",
    "erf_inv",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "ge",
    "gt",
    "igamma",
    "igamma_grad_a",
    "igammac",
    "imag",
    "is_finite",
    "le",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "logistic",
    "lt",
    "max",
    "min",
    "mulhi",
    "ne",
    "neg",
    "nextafter",
    "polygamma",
    "population_count",
    "real",
    "rem",
    "rsqrt",
    "select_n",
    "shift_left",
    "shift_right_arithmetic",
    "shift_right_logical",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "zeta",
]
_OTHER_NAMES = {
    "add_any": lax.add,
    "and": lax.bitwise_and,
    "not": lax.bitwise_not,
    "or": lax.bitwise_or,
    "regularized_incomplete_beta": lax.betainc,
    "xor": lax.bitwise_xor,
}


def _register(name: str, function: Any) -> None:
    rule(name)(lambda eqn, *operands: [function(*_stretched(eqn, operands))])


def _stretched(eqn: Any, operands: Sequence[Any]) -> list[Any]:
    """The operands in the shape of the result: jax's primitives stretch axes of length 1, ours do not."""
    shape = eqn.outvars[0].aval.shape
    return [x if jnp.shape(x) in ((), shape) else jnp.broadcast_to(x, shape) for x in operands]


for _name in _SAME:
    _register(_name, getattr(lax, _name))
for _name, _function in _OTHER_NAMES.items():
    _register(_name, _function)


@rule("add", "mul", "sub")
def _arithmetic(eqn: Any, x: Any, y: Any) -> list[Any]:
    wider = eqn.params.get("out_dtype")
    x, y = _stretched(eqn, (x, y) if wider is None else [lax.convert_element_type(v, wider) for v in (x, y)])
    return [getattr(lax, eqn.primitive.name)(x, y)]


@rule("pow")
def _pow(eqn: Any, x: Any, y: Any) -> list[Any]:
    """jax's exponents may be integers where the base is not."""
    return [lax.pow(*_stretched(eqn, (x, lax.convert_element_type(y, jnp.result_type(x)))))]


@rule("eq_to", "le_to", "lt_to")
def _total_order(eqn: Any, x: Any, y: Any) -> list[Any]:
    """Comparisons in IEEE 754's total order of floats: -NaN, -inf, ..., -0, 0, ..., inf, NaN."""
    compare = getattr(lax, eqn.primitive.name.removesuffix("_to"))
    return [compare(*map(_ordinal, _stretched(eqn, (x, y))))]


def _ordinal(x: Any) -> Any:
    """Integers that are ordered as the floats ``x`` are in total order; other numbers are ordered as they are."""
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, jnp.floating):
        return x
    bits = lax.bitcast_convert_type(x, jnp.dtype(f"int{8 * dtype.itemsize}"))
    return jnp.where(bits < 0, bits ^ jnp.iinfo(bits.dtype).max, bits)


@rule("convert_element_type")
def _convert(eqn: Any, x: Any) -> list[Any]:
    return [lax.convert_element_type(x, eqn.params["new_dtype"])]


@rule("bitcast_convert_type")
def _bitcast(eqn: Any, x: Any) -> list[Any]:
    return [lax.bitcast_convert_type(x, eqn.params["new_dtype"])]


@rule("integer_pow")
def _integer_pow(eqn: Any, x: Any) -> list[Any]:
    return [lax.integer_pow(x, eqn.params["y"])]


@rule("one_minus_square")
def _one_minus_square(eqn: Any, x: Any) -> list[Any]:
    return [(1 + x) * (1 - x)]


@rule("polynomial")
def _polynomial(eqn: Any, x: Any, *coefficients: Any) -> list[Any]:
    """A polynomial by Horner's rule; the coefficients are ordered from the lowest degree to the highest."""
    value = jnp.broadcast_to(coefficients[-1], eqn.outvars[0].aval.shape)
    for c in reversed(coefficients[:-1]):
        value = value * x + c
    return [value]


@rule("round")
def _round(eqn: Any, x: Any) -> list[Any]:
    return [lax.round(x, lax.RoundingMethod(int(eqn.params["rounding_method"])))]


@rule("reduce_precision")
def _reduce_precision(eqn: Any, x: Any) -> list[Any]:
    return [lax.reduce_precision(x, eqn.params["exponent_bits"], eqn.params["mantissa_bits"])]


@rule("stop_gradient")
def _stop_gradient(eqn: Any, x: Any) -> list[Any]:
    return [lax.stop_gradient(x)]


@rule("copy", "device_put", "layout_constraint", "name", "pbroadcast", "pvary", "relayout",
      "reshard", "sharding_constraint", "with_memory_space_constraint", keys=True)  # fmt: skip
def _identity(eqn: Any, *operands: Any) -> list[Any]:
    """The rule of primitives that place or name an array, which change nothing on one device."""
    return list(operands)


@rule("optimization_barrier", keys=True)
def _barrier(eqn: Any, *operands: Any) -> list[Any]:
    return list(lax.optimization_barrier(operands))


@rule("platform_index")
def _platform_index(eqn: Any) -> list[Any]:
    """The branch that is for the CPU, or for every platform: both of anejax's devices compute as a CPU does."""
    for i, platforms in enumerate(eqn.params["platforms"]):
        if platforms is None or "cpu" in platforms:
            return [jnp.int32(i)]
    raise RefusedError("expected a branch for the CPU or for every platform")
