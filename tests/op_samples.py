"""One row per primitive: arguments to try it on, what it should give, how exactly. Every test in tests/ops reads it.

A row's reference is a NumPy function in float64 where there is one, and jax.lax on the CPU elsewhere. The arguments of
primitives that the engine has are those of anejax.engine.samples.
"""

# fmt: off

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.engine.samples import OVER_NOTHING, PAIRS, SAMPLES, Case, I, X, binary_cases, reductions, unary_cases
from anejax.ops.fft import FftType, half
from anejax.ops.index import GatherDimensionNumbers, ScatterDimensionNumbers

FLOATS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
COMPLEX = (dtypes.complex128, dtypes.complex64)
SIGNED = (dtypes.int32, dtypes.int8, dtypes.int64)
SOME_INTS = (dtypes.int32, dtypes.uint8, dtypes.int64)
INTS = (dtypes.int32, dtypes.int8, dtypes.uint32, dtypes.uint8, dtypes.int64)
BOOL = (dtypes.bool_,)

# higher-order primitives and effects: their tests are tests/transforms and tests/api
HIGHER_ORDER = frozenset({
    "jit", "checkpoint", "checkpoint_name", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call",
    "custom_vjp_tangent", "custom_linear_solve", "chosen_examples", "composite",
    "scan", "while", "cond", "debug_print", "debug_callback", "replay_scan", "replay_cond", "all_gather", "axis_index",
})


@dataclasses.dataclass(frozen=True)
class Row:
    """``ulp``: greatest error in units of the last place. ``sums``: the error bound is 8 sqrt(K) eps sum|a||b| instead,
    with K and the sum found by the reference itself, on ones and on absolute values. ``norm``: the units are of the
    whole result's Euclidean norm. ``settle`` chooses among results that are equally right (the signs of eigenvectors):
    it takes and returns the list of them."""

    name: str
    cases: tuple[Case, ...]
    numpy: Callable[..., Any] | None = None
    jax: Callable[..., Any] | None = None
    dtypes: Sequence[np.dtype] = FLOATS
    grad: tuple[int, ...] = ()  # arguments to differentiate
    ulp: float = 0.0
    sums: bool = False
    norm: bool = False
    settle: Callable[[list[Any]], list[Any]] = list
    elementwise: bool = False
    own_dtype: bool = False  # the reference needs the arguments as they are, not as float64


ROWS: dict[str, Row] = {}


def row(name: str, *cases: Case, jax: Any = None, **fields: Any) -> None:
    """A row; its cases are the sample of anejax.engine.samples, unless there is none."""
    assert name not in ROWS and (name in SAMPLES) != bool(cases), name
    cases = SAMPLES.get(name, cases)
    ROWS[name] = Row(name, cases, jax=jax or (lambda lax, *a, **p: getattr(lax, name)(*a, **p)), **fields)


# --- elementwise ------------------------------------------------------------------------------------------------------


def unary(name: str, numpy: Any, *cases: Case, ulp: float = 4, grad: bool = True, dtypes: Any = FLOATS,
          jax: str | None = None) -> None:
    row(name, *cases, numpy=numpy, dtypes=dtypes, grad=(0,) if grad else (), ulp=ulp, elementwise=True,
        jax=lambda lax, x, **p: getattr(lax, jax or name)(x, **p))


def _each(f: Any) -> Any:
    return lambda x: np.vectorize(f, otypes=[np.float64])(x) if x.size else x


def _special(name: str) -> Any:
    """A function of scipy.special, imported when it is needed."""

    def function(x: np.ndarray) -> np.ndarray:
        import scipy.special

        return getattr(scipy.special, name)(x)

    return function


unary("neg", np.negative, ulp=0, dtypes=FLOATS + INTS)
unary("square", np.square, ulp=0.5, dtypes=FLOATS + INTS)
unary("abs", np.abs, ulp=0, dtypes=FLOATS + SIGNED)
unary("sign", np.sign, ulp=0, dtypes=FLOATS + INTS)
unary("floor", np.floor, ulp=0)
unary("ceil", np.ceil, ulp=0)
unary("round", np.rint, ulp=0)
ROWS["round"] = dataclasses.replace(ROWS["round"], jax=lambda lax, x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN))
unary("is_finite", np.isfinite, ulp=0, grad=False)
unary("exp", np.exp)
unary("exp2", np.exp2)
unary("expm1", np.expm1)
unary("log", np.log)
unary("log2", np.log2)  # lax has it from jax 0.12 on
ROWS["log2"] = dataclasses.replace(ROWS["log2"], jax=lambda lax, x: lax.log(x) / np.log(2).astype(x.dtype))
unary("log1p", np.log1p)
unary("sqrt", np.sqrt, ulp=0.5)
unary("rsqrt", lambda x: 1 / np.sqrt(x))
unary("cbrt", np.cbrt)
unary("sin", np.sin)
unary("cos", np.cos)
unary("tan", np.tan)
unary("asin", np.arcsin)
unary("acos", np.arccos)
unary("atan", np.arctan)
unary("sinh", np.sinh)
unary("cosh", np.cosh)
unary("tanh", np.tanh)
unary("asinh", np.arcsinh)
unary("acosh", np.arccosh)
unary("atanh", np.arctanh)
unary("logistic", lambda x: 1 / (1 + np.exp(-x)))
unary("erf", _special("erf"))
unary("erfc", _special("erfc"))
unary("erf_inv", _special("erfinv"), *unary_cases(-0.8, 0.8))
unary("lgamma", _special("gammaln"), *unary_cases(2.5, 6), ulp=16)
unary("digamma", _special("digamma"), *unary_cases(2, 6), ulp=8)
unary("not", None, grad=False, ulp=0, dtypes=BOOL + INTS, jax="bitwise_not")
unary("population_count", None, *unary_cases(), grad=False, ulp=0, dtypes=INTS)
unary("clz", None, *unary_cases(), grad=False, ulp=0, dtypes=INTS)
unary("copy", lambda x: x, ulp=0, dtypes=FLOATS + INTS + BOOL, jax="neg")
ROWS["copy"] = dataclasses.replace(ROWS["copy"], jax=lambda lax, x: x)
row("integer_pow", numpy=lambda x, y: x**y, grad=(0,), ulp=8, elementwise=True)
row("convert_element_type", dtypes=FLOATS + SOME_INTS + BOOL, grad=(0,),
    jax=lambda lax, x, dtype, weak_type: lax.convert_element_type(x, dtype))
row("bitcast_convert_type", Case((X((3, 4)),), {"dtype": dtypes.int32}), Case((X(()),), {"dtype": dtypes.uint32}),
    Case((X((0,)),), {"dtype": dtypes.int32}),
    dtypes=(dtypes.float32,), jax=lambda lax, x, dtype: lax.bitcast_convert_type(x, dtype), own_dtype=True)


def binary(name: str, numpy: Any, *cases: Case, ulp: float = 0.5, grad: tuple[int, ...] = (0, 1),
           dtypes: Any = FLOATS, jax: str | None = None) -> None:
    def on_jax(lax: Any, x: Any, y: Any) -> Any:
        shape = np.broadcast_shapes(x.shape, y.shape)
        return getattr(lax, jax or name)(np.broadcast_to(x, shape), np.broadcast_to(y, shape))

    row(name, *cases, numpy=numpy, jax=on_jax, dtypes=dtypes, grad=grad, ulp=ulp, elementwise=True)


binary("add", np.add, dtypes=FLOATS + INTS)
binary("sub", np.subtract, dtypes=FLOATS + INTS)
binary("mul", np.multiply, dtypes=FLOATS + INTS)
binary("div", np.divide, dtypes=FLOATS + INTS)
binary("rem", np.fmod, dtypes=FLOATS + INTS)
binary("pow", np.power, ulp=4)
binary("max", np.maximum, dtypes=FLOATS + INTS + BOOL, ulp=0)
binary("min", np.minimum, dtypes=FLOATS + INTS + BOOL, ulp=0)
binary("atan2", np.arctan2, ulp=4)
binary("nextafter", None, *binary_cases(), grad=(), ulp=0, dtypes=(dtypes.float32, dtypes.float64))
ROWS["nextafter"] = dataclasses.replace(ROWS["nextafter"], own_dtype=True)
for _name, _jax in (("and", "bitwise_and"), ("or", "bitwise_or"), ("xor", "bitwise_xor")):
    binary(_name, None, grad=(), ulp=0, dtypes=INTS + BOOL, jax=_jax)
for _name in ("shift_left", "shift_right_logical", "shift_right_arithmetic"):
    binary(_name, None, *binary_cases(second=(0, 9)), grad=(), ulp=0, dtypes=INTS)
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    binary(_name, None, grad=(), ulp=0, dtypes=FLOATS + INTS + BOOL)

row("select_n", dtypes=FLOATS + SOME_INTS + BOOL, grad=(1, 2), elementwise=True)
row("clamp", numpy=lambda low, x, high: np.minimum(np.maximum(x, low), high), dtypes=FLOATS + SOME_INTS, grad=(0, 1, 2),
    elementwise=True)

# --- movement ---------------------------------------------------------------------------------------------------------

_MOVED = FLOATS + SOME_INTS + BOOL


def moved(name: str, *cases: Case, **fields: Any) -> None:
    row(name, *cases, **{"dtypes": _MOVED, "grad": (0,), **fields})


for _name in ("reshape", "transpose", "slice", "rev"):
    moved(_name)
moved("broadcast_in_dim", sums=True)
moved("concatenate", grad=(0, 1), jax=lambda lax, *xs, dimension: lax.concatenate(xs, dimension))
moved("pad", grad=(0, 1))
row("iota", dtypes=(dtypes.float32,),
    jax=lambda lax, dtype, shape, dimension: lax.broadcasted_iota(dtype, shape, dimension))
row("optimization_barrier", dtypes=FLOATS, grad=(0,), jax=lambda lax, *xs: list(xs))

# --- reductions -------------------------------------------------------------------------------------------------------

row("reduce_sum", numpy=lambda x, axes: np.sum(x, axes),
    jax=lambda lax, x, axes: lax.reduce_sum_p.bind(x, axes=axes, out_sharding=None), dtypes=FLOATS + INTS, grad=(0,),
    sums=True)
row("reduce_prod", numpy=lambda x, axes: np.prod(x, axes), dtypes=FLOATS + (dtypes.int32,), grad=(0,), ulp=8)
for _name, _f in (("reduce_max", np.max), ("reduce_min", np.min)):
    row(_name, numpy=(lambda f: lambda x, axes: f(x, axes))(_f), dtypes=FLOATS + INTS + BOOL, grad=(0,))
for _name in ("reduce_and", "reduce_or", "reduce_xor"):
    row(_name, *(() if _name in SAMPLES else (*reductions(), OVER_NOTHING)), dtypes=SOME_INTS + BOOL,
        jax=(lambda n: lambda lax, x, axes: getattr(lax, f"{n}_p").bind(x, axes=axes))(_name))
for _name in ("argmax", "argmin"):
    row(_name, *(Case((X(s, apart=a),), {"axis": i, "index_dtype": dtypes.int32}) for s, i, a in
        (((3, 4), 1, True), ((3, 5), 0, False), ((4,), 0, True), ((0, 3), 1, True))), dtypes=FLOATS + SOME_INTS + BOOL)


def _scans(name: str, numpy: Any, **fields: Any) -> None:
    def reference(x: np.ndarray, axis: int, reverse: bool) -> np.ndarray:
        return np.flip(numpy(np.flip(x, axis), axis), axis) if reverse else numpy(x, axis)

    row(name, numpy=reference, grad=(0,), **fields)


_scans("cumsum", np.cumsum, dtypes=FLOATS + SOME_INTS, sums=True)
_scans("cumprod", np.cumprod, dtypes=FLOATS + (dtypes.int32,), ulp=8)
_scans("cummax", np.maximum.accumulate, dtypes=FLOATS + SOME_INTS)
_scans("cummin", np.minimum.accumulate, dtypes=FLOATS + SOME_INTS)
_scans("cumlogsumexp", np.logaddexp.accumulate, ulp=8)

# --- linear algebra and convolution -----------------------------------------------------------------------------------

row("dot_general", grad=(0, 1), sums=True, dtypes=FLOATS + (dtypes.int32,))


def _jax_conv(lax: Any, x: Any, w: Any, **p: Any) -> Any:
    return lax.conv_general_dilated(x, w, **{**p,
        "dimension_numbers": lax.ConvDimensionNumbers(*p["dimension_numbers"])})


row("conv_general_dilated", jax=_jax_conv, grad=(0, 1), sums=True, dtypes=FLOATS + (dtypes.int32,))

# --- factorizations ---------------------------------------------------------------------------------------------------

LAPACK = (dtypes.float32, dtypes.float64)


def _matrices(*shapes: tuple[int, ...], form: str, **params: Any) -> list[Case]:
    return [Case((X(s, form=form),), params) for s in shapes]


def _by_side(outs: list[Any], vectors: int, transposed: int | None = None) -> list[Any]:
    """Columns of ``outs[vectors]`` (and rows of ``outs[transposed]``) with signs that make a projection positive."""
    v = outs[vectors]
    weights = np.cos(np.arange(v.shape[-2], dtype=v.dtype))
    along = (v * weights[:, None]).sum(-2)
    sign = along.conj() / abs(along)
    outs[vectors] = v * sign[..., None, :]
    if transposed is not None:
        outs[transposed] = outs[transposed] * sign[..., :, None]
    return outs


def _values_first(outs: Any) -> Any:
    """The svd of lax as the primitive has it."""
    return (outs[1], outs[0], outs[2]) if isinstance(outs, (tuple, list)) else outs


_SQUARE = ((4, 4), (2, 3, 3), (1, 1), (7, 7), (0, 0), (0, 3, 3), (2, 0, 0))
_OBLONG = ((5, 3), (3, 5), (2, 4, 4), (1, 3), (3, 1), (0, 3), (3, 0), (0, 2, 3))
row("cholesky", *_matrices(*_SQUARE, form="definite", symmetrize_input=True), grad=(0,), norm=True,
    ulp=8, dtypes=LAPACK,
    jax=lambda lax, x, **p: lax.linalg.cholesky(x, **p))
row("triangular_solve", *(Case((X(a, form="dominant"), X(b)),
        {"left_side": left, "lower": low, "transpose_a": flip, "unit_diagonal": unit})
    for a, b, left, low, flip, unit in (
        ((4, 4), (4, 3), True, True, False, False), ((4, 4), (3, 4), False, False, False, False),
        ((3, 3), (3, 5), True, False, True, False), ((2, 3, 3), (2, 1, 3), False, True, True, False),
        ((5, 5), (5, 2), True, True, False, True), ((3, 3), (4, 3), False, False, True, True),
        ((1, 1), (1, 2), True, False, False, False), ((0, 0), (0, 2), True, True, False, False),
        ((3, 3), (3, 0), True, True, False, False), ((0, 2, 2), (0, 2, 3), True, True, False, False))),
    grad=(0, 1), norm=True, ulp=8, dtypes=LAPACK, jax=lambda lax, a, b, **p: lax.linalg.triangular_solve(a, b, **p))
row("lu", *_matrices(*_OBLONG, (6, 6), form=""), *_matrices((4, 4), (3, 4), form="dominant"), grad=(0,), norm=True,
    ulp=32,
    dtypes=LAPACK, jax=lambda lax, x: lax.linalg.lu(x))
row("qr", *_matrices(*_OBLONG, (6, 6), form="dominant", full_matrices=False),
    *_matrices((3, 3), (3, 5), (0, 2), form="dominant", full_matrices=True), grad=(0,), norm=True,
    ulp=16, dtypes=LAPACK,
    jax=lambda lax, x, **p: lax.linalg.qr(x, **p))
row("eigh", *_matrices(*_SQUARE, form="dominant", lower=True, symmetrize_input=True),
    *_matrices((3, 3), form="dominant", lower=False, symmetrize_input=True), grad=(0,), norm=True,
    ulp=16, dtypes=LAPACK,
    settle=lambda outs: _by_side(outs, 0), jax=lambda lax, x, **p: lax.linalg.eigh(x, **p))
row("svd", *_matrices(*_OBLONG, (5, 5), form="dominant", full_matrices=False, compute_uv=True),
    *_matrices((4, 4), form="dominant", full_matrices=True, compute_uv=True),
    *_matrices((4, 3), (3, 4), (0, 2), form="dominant", full_matrices=True, compute_uv=False), grad=(0,), norm=True,
    ulp=32,
    dtypes=LAPACK, settle=lambda outs: _by_side(outs, 1, 2) if len(outs) == 3 else outs,
    jax=lambda lax, x, **p: _values_first(lax.linalg.svd(x, **p)))



# --- general matrices, and complex ones by parts ----------------------------------------------------------------------


class Parts(X):
    """Complex matrices of ``shape``, real and imaginary parts along a last axis."""

    def make(self, rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
        return _by_parts(X(self.shape, form=self.form).make(rng, dtypes.complex_of(np.dtype(dtype))))


def _by_parts(z: Any) -> Any:
    """Complex arrays with an axis of parts; others as they are. Of tracers too, as are the functions below."""
    if np.dtype(z.dtype) not in dtypes.COMPLEX:
        return z
    first, second = np.eye(2, dtype=dtypes.real_part(np.dtype(z.dtype)))
    return z.real[..., None] * first + z.imag[..., None] * second


def _whole(x: Any) -> Any:
    return x[..., 0] + 1j * x[..., 1]


def _by_phase(*which: int) -> Any:
    """Columns of these results with phases that make a projection positive."""

    def settle(outs: list[Any]) -> list[Any]:
        for i in which:
            if i < len(outs):
                outs[i] = _by_side([outs[i]], 0)[0]
        return outs

    return settle


def _turned(outs: list[Any]) -> list[Any]:
    """Left singular vectors with such phases, and what the right ones have then."""
    u, vt = outs
    settled = _by_side([u], 0)[0]
    phase = (u.conj() * settled).sum(-2)
    return [settled, vt * phase.conj()[..., :, None]]


def _in_parts(settle: Any) -> Any:
    """``settle`` for complex results by parts."""
    return lambda outs: [_by_parts(o) for o in settle([_whole(o) for o in outs])]


def _invariants(outs: list[Any]) -> list[Any]:
    """Of Schur forms T the traces of T and T T, in all places; Q^H Q."""
    t, *qs = outs
    eye = np.eye(t.shape[-1], dtype=t.dtype)
    traces = (eye * t).sum((-2, -1)) + (eye * (t @ t)).sum((-2, -1)) / 8
    return [0 * t + traces[..., None, None], *(q.conj().mT @ q for q in qs)]


def parts_row(name: str, *cases: Case, jax: Any, **fields: Any) -> None:
    def on_jax(lax: Any, *xs: Any, complex: bool, **params: Any) -> list[Any]:
        outs = jax(lax.linalg, *(map(_whole, xs) if complex else xs), **params)
        return [_by_parts(o) for o in (outs if isinstance(outs, (list, tuple)) else [outs])]

    row(f"{name}_parts", *cases, norm=True, dtypes=LAPACK, jax=on_jax, **fields)


def _complex(*shapes: tuple[int, ...], form: str = "dominant", **params: Any) -> list[Case]:
    return [Case((Parts(s, form=form),), {"complex": True, **params}) for s in shapes]


def _jax_eig(linalg: Any, x: Any, *, left: bool, right: bool, enable_eigvec_derivs: bool) -> Any:
    return linalg.eig(x, compute_left_eigenvectors=left, compute_right_eigenvectors=right)


def _jax_schur(linalg: Any, x: Any, *, vectors: bool) -> Any:
    return linalg.schur(x, compute_schur_vectors=vectors)


_GENERAL = ((4, 4), (2, 3, 3), (1, 1), (0, 0), (0, 3, 3), (2, 0, 0))
_EIG: dict[str, Any] = {"left": True, "right": True, "enable_eigvec_derivs": True}
_EIGVALS: dict[str, Any] = {**_EIG, "left": False, "right": False}
row("eig", *_matrices(*_GENERAL, form="dominant", **_EIG), *_matrices((3, 3), form="dominant", **_EIGVALS),
    dtypes=COMPLEX, grad=(0,), norm=True, ulp=64,
    settle=_by_phase(1, 2),
    jax=lambda lax, x, **p: _jax_eig(lax.linalg, x, **p))
row("schur", *_matrices(*_GENERAL, (5, 5), form="", vectors=True), *_matrices((3, 3), form="", vectors=False),
    dtypes=LAPACK, norm=True, ulp=64, settle=_invariants, jax=lambda lax, x, **p: _jax_schur(lax.linalg, x, **p))
parts_row("cholesky", *_complex(*_GENERAL, symmetrize_input=True), ulp=8,
          jax=lambda m, x, **p: m.cholesky(x, **p))
parts_row("triangular_solve", *(Case((Parts(a, form="dominant"), Parts(b)),
        {"complex": True, "left_side": left, "lower": low, "transpose_a": flip, "unit_diagonal": unit})
    for a, b, left, low, flip, unit in (
        ((4, 4), (4, 3), True, True, False, False), ((2, 3, 3), (2, 1, 3), False, False, True, False),
        ((3, 3), (3, 5), True, True, True, True), ((0, 2, 2), (0, 2, 3), True, True, False, False))),
    ulp=8, jax=lambda m, a, b, **p: m.triangular_solve(a, b, **p))
parts_row("lu", *_complex(*_OBLONG, (6, 6), form=""), ulp=32, jax=lambda m, x: m.lu(x))
parts_row("qr", *_complex(*_OBLONG, (6, 6), full_matrices=False), *_complex((3, 3), (5, 3), full_matrices=True),
          ulp=32, jax=lambda m, x, **p: m.qr(x, **p))
parts_row("eigh", *_complex(*_GENERAL, lower=True, symmetrize_input=True), *_complex(
          (3, 3), lower=False, symmetrize_input=True), ulp=16,
          settle=lambda outs: [_in_parts(_by_phase(0))(outs[:1])[0], outs[1]], jax=lambda m, x, **p: m.eigh(x, **p))
parts_row("svd", *_complex(*_OBLONG, (5, 5), full_matrices=False, compute_uv=True), *_complex(
          (4, 3), (0, 2), full_matrices=True, compute_uv=False), ulp=32,
          settle=lambda outs: [outs[0], *_in_parts(_turned)(outs[1:])] if len(outs) == 3 else outs,
          jax=lambda m, x, **p: _values_first(m.svd(x, **p)))
parts_row("eig", *_complex(*_GENERAL, **_EIG), *(Case((X(s, form=""),), {"complex": False, **_EIG}) for s in _GENERAL),
          ulp=64, settle=_in_parts(_by_phase(1, 2)), jax=_jax_eig)
parts_row("schur", *_complex(*_GENERAL, form="", vectors=True), *_complex((3, 3), form="", vectors=False), ulp=64,
          settle=_in_parts(_invariants), jax=_jax_schur)

# --- windows ----------------------------------------------------------------------------------------------------------


def _jax_window(computation: str, init: Any) -> Any:
    def reference(lax: Any, x: Any, *, window_dimensions: Any, window_strides: Any, padding: Any, base_dilation: Any,
                  window_dilation: Any) -> Any:
        start = np.asarray(init(np.dtype(x.dtype)), x.dtype)
        return lax.reduce_window(x, start, getattr(lax, computation), window_dimensions, window_strides, padding,
                                 base_dilation, window_dilation)

    return reference


def _lowest(d: np.dtype) -> Any:
    return False if d == dtypes.bool_ else np.iinfo(d).min if d in dtypes.INTS else -np.inf


def _highest(d: np.dtype) -> Any:
    return True if d == dtypes.bool_ else np.iinfo(d).max if d in dtypes.INTS else np.inf


row("reduce_window_sum", jax=_jax_window("add", lambda d: 0), grad=(0,), sums=True, dtypes=FLOATS + (dtypes.int32,))
row("reduce_window_max", jax=_jax_window("max", _lowest), grad=(0,), dtypes=FLOATS + SOME_INTS)
row("reduce_window_min", jax=_jax_window("min", _highest), grad=(0,), dtypes=FLOATS + SOME_INTS)


def _jax_pool(lax: Any, x: Any, select: str, window: Any, strides: Any, padding: Any) -> Any:
    start = np.asarray(-np.inf if select == "ge" else np.inf, x.dtype)
    return lax.reduce_window(x, start, lax.max if select == "ge" else lax.min, window, strides, padding)


def _jax_select_scatter(lax: Any, source: Any, operand: Any, *, select: str, window_dimensions: Any,
    window_strides: Any,
                        padding: Any) -> Any:
    import jax

    _, vjp = jax.vjp(lambda x: _jax_pool(lax, x, select, window_dimensions, window_strides, padding), operand)
    return vjp(source)[0]


def _jax_select_gather(lax: Any, values: Any, operand: Any, *, select: str, window_dimensions: Any, window_strides: Any,
                       padding: Any) -> Any:
    import jax

    pool = lambda x: _jax_pool(lax, x, select, window_dimensions, window_strides, padding)  # noqa: E731
    return jax.jvp(pool, (operand,), (values,))[1]


row("select_and_scatter_add", jax=_jax_select_scatter, grad=(0,), sums=True)
row("select_and_gather_add", jax=_jax_select_gather, grad=(0,))

# --- gather and scatter -----------------------------------------------------------------------------------------------

# (operand, indices, offset dims, collapsed, index map, operand batching, indices batching, slice sizes, result)
_GATHERS = (
    ((5, 3), (4, 1), (1,), (0,), (0,), (), (), (1, 3), (4, 3)),  # rows
    ((4, 6), (2, 3, 2), (), (0, 1), (0, 1), (), (), (1, 1), (2, 3)),  # single elements
    ((3, 5, 4), (3, 2, 1), (1,), (1,), (1,), (0,), (0,), (1, 1, 4), (3, 4, 2)),  # with a batching axis
    ((6, 5), (3, 2), (0, 2), (), (1, 0), (), (), (2, 3), (2, 3, 3)),  # windows
    ((5,), (0, 1), (), (0,), (0,), (), (), (1,), (0,)),
    ((4,), (1,), (), (0,), (0,), (), (), (1,), ()),
)


def _gather_params(spec: Any, mode: str, fill: Any = None) -> dict[str, Any]:
    numbers = GatherDimensionNumbers(*spec[2:7])
    return {
        "dimension_numbers": numbers,
        "slice_sizes": spec[7],
        "mode": mode,
        "fill_value": fill,
        "unique_indices": False,
    }


def _jax_numbers(p: dict[str, Any], kind: str) -> Any:
    from jax import lax

    return getattr(lax, kind)(*p["dimension_numbers"])


def _jax_gather(lax: Any, x: Any, indices: Any, **p: Any) -> Any:
    return lax.gather(x, indices, _jax_numbers(p, "GatherDimensionNumbers"), p["slice_sizes"], mode=p["mode"],
                      fill_value=p["fill_value"])


row("gather", *(Case((X(s[0]), I(s[1], low, high)), _gather_params(s, mode, fill)) for s in _GATHERS
    for mode, fill, low, high in (("clip", None, -2, 7), ("fill", None, -2, 7), ("fill", 3, -2, 7),
        ("promise_in_bounds", None, 0, 3))),
    jax=_jax_gather, grad=(0,), dtypes=(*FLOATS, *SOME_INTS, *BOOL))


def _scatters(name: str, apart: bool = False, low: float = -2, unique: Any = (False,), **fields: Any) -> None:
    cases = []
    for s in _GATHERS:
        numbers = ScatterDimensionNumbers(*s[2:7])
        for mode, first, last in (("clip", -2, 7), ("fill", -2, 7), ("promise_in_bounds", 0, 3)):
            params = {"dimension_numbers": numbers, "mode": mode, "unique_indices": False}
            operand = X(s[0], low, 2, apart)
            updates = X(s[8], low, 2.03 if apart else 2, apart)  # no tie with the operand
            cases.append(Case((operand, I(s[1], first, last), updates), params))

    def reference(lax: Any, x: Any, indices: Any, updates: Any, **p: Any) -> Any:
        numbers = _jax_numbers(p, "ScatterDimensionNumbers")
        return getattr(lax, name)(x, indices, updates, numbers, mode=p["mode"])

    row(name, *cases, jax=reference, **fields)


_scatters("scatter", grad=(0, 2), dtypes=FLOATS + SOME_INTS + BOOL)
_scatters("scatter_add", grad=(0, 2), sums=True, dtypes=FLOATS + SOME_INTS)
_scatters("scatter_mul", low=0.5, grad=(0, 2), ulp=8, dtypes=FLOATS + (dtypes.int32,))
_scatters("scatter_min", apart=True, grad=(0, 2), dtypes=FLOATS + SOME_INTS)
_scatters("scatter_max", apart=True, grad=(0, 2), dtypes=FLOATS + SOME_INTS)

row("dynamic_slice", Case((X((5, 4)), I((), -2, 6), I((), 0, 4)), {"slice_sizes": (2, 3)}),
    Case((X((6,)), I((), 0, 9, dtypes.uint8)), {"slice_sizes": (2,)}), Case((X((3,)), I(())), {"slice_sizes": (0,)}),
    Case((X(()),), {"slice_sizes": ()}), Case((X((0,)), I(())), {"slice_sizes": (0,)}), grad=(0,), dtypes=_MOVED,
    jax=lambda lax, x, *starts, slice_sizes: lax.dynamic_slice(x, [np.clip(s.astype(np.int64), 0,
    None) for s in starts],
                                                               slice_sizes))
row("dynamic_update_slice", Case((X((5, 4)), X((2, 3)), I((), -2, 6), I((), 0, 4))),
    Case((X((6,)), X((2,)), I((), 0, 9))), Case((X((3,)), X((0,)), I(()))), Case((X(()), X(()))), grad=(0, 1),
    dtypes=_MOVED,
    jax=lambda lax, x, u, *starts: lax.dynamic_update_slice(x, u, [np.clip(s, 0, None) for s in starts]))

# --- sort, random bits ------------------------------------------------------------------------------------------------

row("sort", Case((X((3, 5), apart=True),), {"dimension": 1, "num_keys": 1}),
    Case((X((4, 3), apart=True), X((4, 3))), {"dimension": 0, "num_keys": 1}),
    Case((I((9,), 0, 3), X((9,), apart=True)), {"dimension": 0, "num_keys": 2}),
    Case((I((9,), 0, 3), X((9,))), {"dimension": 0, "num_keys": 1}),
    Case((X((0, 2)),), {"dimension": 0, "num_keys": 1}), grad=(0, 1), dtypes=FLOATS + SOME_INTS + BOOL,
    jax=lambda lax, *xs, dimension, num_keys: list(lax.sort(xs, dimension, num_keys=num_keys)))


def _jax_threefry(lax: Any, *words: Any) -> Any:
    from jax.extend.random import threefry2x32_p

    return threefry2x32_p.bind(*map(np.ascontiguousarray, np.broadcast_arrays(*words)))


row("threefry2x32", *(Case(tuple(I(s, 0, 2**32, dtypes.uint32) for s in shapes)) for shapes in
    (((3, 5),) * 4, ((), (), (), (7,)), ((),) * 4, ((), (), (0,), (0,)))), dtypes=(dtypes.float32,), jax=_jax_threefry)

# --- between processes: of one alone; tests/distributed has several ---------------------------------------------------

_same = lambda lax, x, **p: x  # noqa: E731
row("process_sum", Case((X((3, 2)), X(()), X((0,)))), dtypes=(dtypes.float32, dtypes.int32), grad=(0, 1),
    jax=lambda lax, *xs: list(xs))
row("process_gather", Case((X((3, 2)),), {"count": 1}), Case((X(()),), {"count": 1}),
    Case((X((0, 2)),), {"count": 1}), dtypes=FLOATS + SOME_INTS + BOOL,
    grad=(0,), jax=lambda lax, x, count: lax.expand_dims(x, (0,)))
row("process_exchange", Case((X((1, 3)),)), Case((X((1, 0)),)), dtypes=FLOATS + SOME_INTS + BOOL, grad=(0,), jax=_same)
row("process_permute", Case((X((3,)),), {"pairs": ((0, 0),)}), Case((X(()),), {"pairs": ((0, 0),)}),
    Case((X((0,)),), {"pairs": ((0, 0),)}), dtypes=FLOATS + SOME_INTS + BOOL, grad=(0,), jax=_same)
for _name in ("process_cut", "process_join"):
    row(_name, Case((X((3, 2)),)), Case((X((0,)),)), dtypes=FLOATS + SOME_INTS + BOOL, grad=(0,), jax=_same)
for _name in ("process_enter", "process_leave"):
    row(_name, Case((X((3, 2)),)), Case((X(()),)), Case((X((0,)),)), dtypes=(dtypes.float32,), grad=(0,), jax=_same)
row("process_index", Case(()), dtypes=(dtypes.float32,), jax=lambda lax: np.int32(0))

# --- complex numbers --------------------------------------------------------------------------------------------------

row("complex", *(Case((X(a), X(b))) for a, b in PAIRS), numpy=lambda re, im: re + 1j * im, grad=(0, 1),
    dtypes=(dtypes.float32, dtypes.float64), jax=lambda lax, re, im: lax.complex(*np.broadcast_arrays(re, im)))
for _name, _f in (("real", np.real), ("imag", np.imag), ("conj", np.conj)):
    row(_name, *(Case((X(s),)) for s in ((3, 5), (), (0, 4), (1,))), numpy=_f, grad=(0,), dtypes=COMPLEX)

_FFT_SHAPES = (((3, 8), (8,)), ((2, 7), (7,)), ((4, 1), (1,)), ((2, 4, 6), (4, 6)), ((2, 3, 2, 5), (3, 2, 5)),
               ((0, 4), (4,)), ((34,), (34,)))


def _fft(kind: str) -> list[Case]:
    place = lambda s, n: (*s[: -len(n)], *half(n)) if kind == "IRFFT" else s  # noqa: E731
    return [Case((X(place(s, n)),), {"fft_type": FftType[kind], "fft_lengths": n}) for s, n in _FFT_SHAPES]


def _jax_fft(lax: Any, x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
    return lax.fft(x, fft_type.name, fft_lengths)


row("fft", *_fft("FFT"), *_fft("IFFT"), *_fft("IRFFT"), jax=_jax_fft, dtypes=COMPLEX, grad=(0,), ulp=6, norm=True)
row("fft_parts", *_fft("RFFT"), dtypes=(dtypes.float32, dtypes.float64), ulp=6, norm=True,
    jax=lambda lax, x, **p: (lambda z: [z.real, z.imag])(_jax_fft(lax, x, **p)))
