"""Rules for jax's products, convolutions, Fourier transforms and factorizations."""

from __future__ import annotations

from typing import Any

from anejax import lax
from anejax.errors import RefusedError
from anejax.interop.interpret import evaluate, rule


@rule("dot_general")
def _dot_general(eqn: Any, x: Any, y: Any) -> list[Any]:
    p = eqn.params
    return [lax.dot_general(x, y, p["dimension_numbers"], preferred_element_type=p["preferred_element_type"])]


@rule("ragged_dot_general")
def _ragged_dot_general(eqn: Any, x: Any, y: Any, sizes: Any) -> list[Any]:
    p = eqn.params
    theirs = p["ragged_dot_dimension_numbers"]
    numbers = lax.RaggedDotDimensionNumbers(
        theirs.dot_dimension_numbers, theirs.lhs_ragged_dimensions, theirs.rhs_group_dimensions
    )
    return [lax.ragged_dot_general(x, y, sizes, numbers, preferred_element_type=p["preferred_element_type"])]


_CONV = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "feature_group_count", "batch_group_count",
         "preferred_element_type")  # fmt: skip


@rule("conv_general_dilated")
def _conv(eqn: Any, x: Any, kernel: Any) -> list[Any]:
    p = eqn.params
    theirs = p["dimension_numbers"]
    numbers = lax.ConvDimensionNumbers(theirs.lhs_spec, theirs.rhs_spec, theirs.out_spec)
    return [lax.conv_general_dilated(x, kernel, dimension_numbers=numbers, **{name: p[name] for name in _CONV})]


@rule("fft")
def _fft(eqn: Any, x: Any) -> list[Any]:
    kind = eqn.params["fft_type"]
    return [lax.fft(x, getattr(kind, "name", kind), eqn.params["fft_lengths"])]


# ---- factorizations


@rule("cholesky")
def _cholesky(eqn: Any, x: Any) -> list[Any]:
    return [lax.linalg.cholesky(x, symmetrize_input=False)]


@rule("lu")
def _lu(eqn: Any, x: Any) -> list[Any]:
    return list(lax.linalg.lu(x))


@rule("lu_pivots_to_permutation")
def _lu_pivots_to_permutation(eqn: Any, pivots: Any) -> list[Any]:
    return [lax.linalg.lu_pivots_to_permutation(pivots, eqn.params["permutation_size"])]


@rule("qr")
def _qr(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    return list(lax.linalg.qr(x, pivoting=p["pivoting"], full_matrices=p["full_matrices"]))


@rule("eigh")
def _eigh(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    options = {name: p[name] for name in ("lower", "sort_eigenvalues", "subset_by_index")}
    return list(lax.linalg.eigh(x, symmetrize_input=False, **options))


@rule("svd")
def _svd(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    options = {name: p[name] for name in ("full_matrices", "compute_uv", "subset_by_index")}
    found = lax.linalg.svd(x, **options)
    if not p["compute_uv"]:
        return [found]
    u, s, vt = found
    return [s, u, vt]


@rule("eig")
def _eig(eqn: Any, x: Any) -> list[Any]:
    p = eqn.params
    sides = {name: p[name] for name in ("compute_left_eigenvectors", "compute_right_eigenvectors")}
    return list(lax.linalg.eig(x, **sides))


@rule("schur")
def _schur(eqn: Any, x: Any) -> list[Any]:
    if eqn.params["sort_eig_vals"]:
        raise RefusedError("sorts eigenvalues, which is not supported")
    return list(lax.linalg.schur(x, compute_schur_vectors=eqn.params["compute_schur_vectors"]))


@rule("triangular_solve")
def _triangular_solve(eqn: Any, a: Any, b: Any) -> list[Any]:
    names = ("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal")
    return [lax.linalg.triangular_solve(a, b, **{name: eqn.params[name] for name in names})]


@rule("custom_linear_solve")
def _custom_linear_solve(eqn: Any, *operands: Any) -> list[Any]:
    """``operands`` are the constants of matvec, vecmat, solve and transpose_solve, and the right-hand sides."""
    lengths, jaxprs = eqn.params["const_lengths"], eqn.params["jaxprs"]
    consts: dict[str, Any] = {}
    rest = list(operands)
    for name, count in zip(lengths._fields, lengths):
        consts[name], rest = rest[:count], rest[count:]

    def apply(name: str, x: Any) -> tuple[Any, ...]:
        return tuple(evaluate(getattr(jaxprs, name), [*consts[name], *x]))

    transposed = None
    if jaxprs.transpose_solve is not None:
        transposed = lambda vecmat, x: apply("transpose_solve", x)  # noqa: E731
    found = lax.custom_linear_solve(
        lambda x: apply("matvec", x), tuple(rest), lambda matvec, x: apply("solve", x), transposed
    )
    return list(found)
