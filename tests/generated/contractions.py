"""Specs of products, convolutions, polynomials and what else adds up products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tests.generated.draw import NUMBERS, Call, Draw
from tests.generated.families import unary
from tests.generated.spec import spec

_MATRICES = (((3, 4), (4, 3)), ((3, 4), (4,)), ((4,), (4, 3)), ((4,), (4,)), ((2, 3, 4), (4, 3)),
             ((2, 3, 4), (2, 4, 5)), ((3, 0), (0, 3)), ((0, 3), (3, 4)), ((3, 4), (2, 4, 3)), ((3, 4), (3, 4)),
             ((2, 1, 3, 2), (4, 2, 5)))  # fmt: skip


def operands(d: Draw, *pairs: Any, low: float = -3) -> tuple[np.ndarray, np.ndarray]:
    x, y = d.pick(*pairs)
    first = d.dtype(NUMBERS)
    return d.array(x, first, low), d.array(y, first if d.flag() else d.dtype(NUMBERS), low)


def _matmul(d: Draw, name: str) -> Call:
    return d.call(name, *operands(d, *_MATRICES), **d.options(preferred_element_type=("float32",)))


def _same(d: Draw, name: str) -> Call:
    """Vectors along the last axis, whose other axes broadcast."""
    pairs = [(s, p) for s, p in (((3, 4), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((0,), (0,)), ((4, 1, 2), (3, 2)))]
    return d.call(name, *operands(d, *pairs), **(d.options(axis=(-1,)) if name == "np.vecdot" else {}))


def _tensordot(d: Draw, name: str) -> Call:
    axes = d.pick(1, 0, 2, ((1,), (0,)), ((0, 1), (1, 0)), (0, -1))
    return d.call(name, *operands(d, ((3, 4), (4, 3)), ((2, 3, 4), (4, 3)), ((3, 4), (3, 4))), axes)


EINSUM = {
    "ij,jk->ik": ((3, 4), (4, 3)), "ij,jk": ((3, 4), (4, 3)), "ij,kj->ki": ((3, 4), (2, 4)), "i,j->ij": ((3,), (4,)),
    "bij,bjk->bik": ((2, 3, 4), (2, 4, 5)), "...ij,jk->...ik": ((2, 3, 4), (4, 5)), "ij,ij->": ((3, 4), (3, 4)),
    "ij,ij->j": ((0, 3), (0, 3)), "abc,cd->dab": ((2, 3, 4), (4, 3)), "ii,ij->j": ((3, 3), (3, 4)),
    "a,b->": ((3,), (4,)),
}  # fmt: skip


def _einsum(d: Draw, name: str) -> Call:
    text = d.pick(*EINSUM)
    x, y = operands(d, EINSUM[text])
    return d.call(name, text, x, y)


def _cross(d: Draw, name: str) -> Call:
    return d.call(name, *operands(d, ((3,), (3,)), ((4, 3), (3,)), ((2, 3), (2, 3)), ((2,), (2,)), ((5, 2), (3,))))


def _finite(xs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Factors of a convolution: whether padding times NaN counts depends on the dtype in jax."""
    return [np.where(np.isfinite(x), x, np.ones((), x.dtype)) for x in xs]


def _convolve(d: Draw, name: str) -> Call:
    xs = operands(d, ((7,), (3,)), ((3,), (7,)), ((3,), (3,)), ((7,), (1,)), ((0,), (3,)))
    return d.call(name, *_finite(xs), **d.options(mode=("full", "same", "valid")))


def _diagonals(d: Draw, name: str) -> Call:
    x = d.array(d.shape(2), d.dtype())
    return d.call(name, x, **d.options(offset=(1, -1, 9), axis1=(1,), axis2=(0,)))


def _cov(d: Draw, name: str) -> Call:
    x = d.array(d.pick((3, 4), (2, 7), (7,)), d.dtype(("float32", "int32", "float16")), special=False)
    return d.call(
        name, x, **d.options(rowvar=(False,)), **(d.options(ddof=(0, 1), bias=(True,)) if name == "np.cov" else {})
    )


def _interp(d: Draw, name: str) -> Call:
    xp = np.sort(d.rng.permutation(20)[:5]).astype(np.float32) / 4
    x = d.rng.uniform(-1, 6, d.shape()).astype(np.float32)
    return d.call(name, x, xp, d.array((5,), "float32", special=False), **d.options(left=(-1.0,), right=(9.0,)))


def _gradient(d: Draw, name: str) -> Call:
    x = d.array(d.pick((3, 4), (7,), (2, 3, 4)), d.dtype(("float32", "int32", "float16")))
    return d.call(name, x, *d.pick((), (0.5,)), **d.options(axis=(0, -1)))


def _poly(d: Draw, name: str) -> Call:
    xs = operands(d, ((3,), (3,)), ((4,), (2,)), ((1,), (3,)))
    return d.call(name, *(_finite(xs) if name == "np.polymul" else xs))


spec("np.matmul", _matmul)
spec("np.dot", lambda d, n: d.call(n, *operands(d, *_MATRICES[:5], ((2, 3, 4), (2, 4, 5)), ((), (3, 4)))))
spec(
    "np.inner",
    lambda d, n: d.call(n, *operands(d, ((3, 4), (2, 4)), ((3,), (3,)), ((2, 3), (3,)), ((), (3,)), ((0,), (0,)))),
)
spec("np.outer", lambda d, n: d.call(n, *operands(d, ((3,), (4,)), ((2, 2), (3,)), ((0,), (3,)), ((), (2,)))))
spec("np.vdot", lambda d, n: d.call(n, *operands(d, ((3,), (3,)), ((2, 3), (3, 2)), ((0,), (0,)))))
spec("np.kron", lambda d, n: d.call(n, *operands(d, ((2, 3), (3, 2)), ((2,), (3,)), ((2, 2), (3,)), ((), (3,)))))
spec("np.vecdot", _same)
spec("np.matvec", lambda d, n: d.call(n, *operands(d, ((3, 4), (4,)), ((2, 3, 4), (4,)), ((3, 4), (2, 4)))))
spec("np.vecmat", lambda d, n: d.call(n, *operands(d, ((3,), (3, 4)), ((2, 3), (3, 4)), ((3,), (2, 3, 4)))))
spec("np.tensordot", _tensordot)
spec("np.einsum", _einsum)
spec("np.cross", _cross)
spec("np.convolve correlate", _convolve)
spec("np.diagonal trace", _diagonals)
spec(
    "np.diag", lambda d, n: d.call(n, d.array(d.pick((3,), (3, 4), (0,), (4, 3)), d.dtype()), **d.options(k=(1, -1, 5)))
)
spec("np.diagflat", lambda d, n: d.call(n, d.array(d.shape(0, 2), d.dtype()), **d.options(k=(1, -1))))
spec("np.cov corrcoef", _cov, ulps=16)
spec("np.interp", _interp, ulps=16)
spec("np.gradient", _gradient)
spec("np.polyadd polysub polymul", _poly)
spec(
    "np.polyval",
    lambda d, n: d.call(n, d.array(d.pick((3,), (1,), (0,)), d.dtype(NUMBERS)), d.array(d.shape(), d.dtype(NUMBERS))),
    ulps=16,
)
spec("np.polyder", lambda d, n: d.call(n, d.array((4,), d.dtype(NUMBERS)), d.pick(1, 2, 0)))
spec("np.polyint", lambda d, n: d.call(n, d.array((3,), d.dtype(NUMBERS)), d.pick(1, 2)))
spec("np.i0", unary(("float32",), -5, 5), ulps=16)
spec("np.bartlett blackman hamming hanning", lambda d, n: d.call(n, d.pick(5, 1, 0, 8)), ulps=16)
spec("np.kaiser", lambda d, n: d.call(n, d.pick(5, 1, 8), d.number(0, 9)), ulps=64)
