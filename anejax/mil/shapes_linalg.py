"""Computes the result shapes of `aj_` factorizations and triangular systems of matrices [..., m, n].

With the flag `complex`, each complex array has a last axis of length 2, for the real and imaginary part.
"""

from __future__ import annotations

from anejax.mil.view import Rule, Shape, View


def _matrix(v: View, name: str) -> tuple[Shape, int, int]:
    """(leading axes, m, n)."""
    shape = v.shape(name)
    if v.flag("complex"):
        v.expect(shape[-1:] == (2,), f"real and imaginary parts along the last axis of {name}")
        shape = shape[:-1]
    v.expect(len(shape) >= 2, f"matrices for {name}")
    return shape[:-2], shape[-2], shape[-1]


def _square(v: View, name: str) -> tuple[Shape, int]:
    lead, m, n = _matrix(v, name)
    v.expect(m == n, f"square matrices for {name}")
    return lead, n


def _parts(v: View) -> Shape:
    """The axis of parts, where there is one."""
    return (2,) if v.flag("complex") else ()


def aj_cholesky(v: View) -> list[Shape]:
    _square(v, "x")
    return [v.shape("x")]


def aj_triangular_solve(v: View) -> list[Shape]:
    lead, n = _square(v, "a")
    b_lead, rows, columns = _matrix(v, "b")
    v.expect(lead == b_lead and n == (rows if v.flag("left_side") else columns), "a that fits b")
    return [v.shape("b")]


def aj_lu(v: View) -> list[Shape]:
    lead, m, n = _matrix(v, "x")
    return [v.shape("x"), (*lead, min(m, n)), (*lead, m)]


def aj_qr(v: View) -> list[Shape]:
    lead, m, n = _matrix(v, "x")
    columns = m if v.flag("full_matrices") else min(m, n)
    return [(*lead, m, columns, *_parts(v)), (*lead, columns, n, *_parts(v))]


def aj_eigh(v: View) -> list[Shape]:
    lead, n = _square(v, "x")
    return [v.shape("x"), (*lead, n)]


def aj_svd(v: View) -> list[Shape]:
    lead, m, n = _matrix(v, "x")
    k = min(m, n)
    rows, columns = (m, n) if v.flag("full_matrices") else (k, k)
    vectors = [(*lead, m, rows, *_parts(v)), (*lead, columns, n, *_parts(v))]
    return [(*lead, k), *vectors][: 3 if v.flag("compute_uv") else 1]


def aj_eig(v: View) -> list[Shape]:
    """Eigenvalues and vectors are complex, whatever x is."""
    lead, n = _square(v, "x")
    return [(*lead, n, 2), *[(*lead, n, n, 2)] * (v.flag("left") + v.flag("right"))]


def aj_schur(v: View) -> list[Shape]:
    _square(v, "x")
    return [v.shape("x")] * (2 if v.flag("vectors") else 1)


RULES: dict[str, Rule] = {
    rule.__name__: rule for rule in (aj_cholesky, aj_triangular_solve, aj_lu, aj_qr, aj_eigh, aj_svd, aj_eig, aj_schur)
}
