"""Specs of numpy.linalg and numpy.fft: matrices that are well conditioned, and transforms seen as real numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from tests.generated.contractions import operands
from tests.generated.draw import Call, Draw
from tests.generated.spec import Build, spec

_SQUARE = ((0, 0), (1, 1), (3, 3), (2, 3, 3), (0, 2, 2), (5, 5))


def _dominant(m: Any, x: Any) -> Any:
    """A matrix whose diagonal outweighs the rest."""
    return x + 8 * m.np.eye(x.shape[-1], dtype=x.dtype)


def _dominant_of_any(m: Any, x: Any) -> Any:
    return x + 8 * m.np.eye(*x.shape[-2:], dtype=x.dtype)


def _definite(m: Any, x: Any) -> Any:
    return x @ m.np.swapaxes(x, -1, -2) + 2 * m.np.eye(x.shape[-1], dtype=x.dtype)


def _apart(m: Any, x: Any) -> Any:
    """A symmetric matrix with eigenvalues far from each other, whose vectors and derivatives are well defined."""
    n = x.shape[-1]
    return (x + m.np.swapaxes(x, -1, -2)) / 8 + m.np.diag(10 * m.np.arange(n, dtype=x.dtype))


def _of(function: str, *shapes: tuple[int, ...], make: Callable[..., Any] | None = None, root: str = "np.linalg",
        parts: Callable[..., Any] | None = None, **options: Any) -> Build:  # fmt: skip
    """``<root>.<function>`` of one matrix, which ``make`` conditions; ``parts`` makes of its results what is unique."""

    def build(d: Draw, name: str) -> Call:
        x = d.array(d.pick(*shapes), "float32", special=False)
        kwargs = d.options(**options)

        def target(m: Any, a: Any) -> Any:
            out = operator.attrgetter(f"{root}.{function}")(m)(make(m, a) if make else a, **kwargs)
            return parts(m, out) if parts else out

        return d.call(f"{name} {kwargs or ''}", x, of=target)

    return build


def _solve(d: Draw, name: str) -> Call:
    a, b = d.pick(((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3, 2)), ((1, 1), (1, 4)), ((0, 0), (0, 2)))
    return d.call(
        name, d.array(a, "float32", special=False), d.array(b, "float32", special=False),
        of=lambda m, x, y: m.np.linalg.solve(_dominant(m, x), y),
    )  # fmt: skip


def _norm(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), "float32", 0.5, 3, special=False)
    matrix = x.ndim == 2 and d.flag()
    orders = (None, "fro", 1, -1, float("inf")) if matrix else (None, 1, 2, 3, 0.5, float("inf"), -float("inf"), 0)
    axis = None if matrix or x.ndim == 1 else d.axis(x.ndim)
    order = d.pick(*orders) if matrix or axis is not None or x.ndim == 1 else None
    return d.call(name, x, order, axis, d.flag())


def _power(d: Draw, name: str) -> Call:
    return d.call(name, d.array(d.pick((3, 3), (2, 2, 2), (1, 1)), "float32", special=False), d.pick(0, 1, 2, 3))


def _qr(d: Draw, name: str) -> Call:
    """Up to the signs of columns, which are LAPACK's to choose: the product and the size of the factor."""

    def target(m: Any, x: Any) -> Any:
        q, r = m.np.linalg.qr(x + m.np.eye(*x.shape[-2:], dtype=x.dtype) * 8)
        return q @ r, m.np.abs(r)

    return d.call(name, d.array(d.pick((3, 3), (4, 2), (2, 4, 3), (1, 1)), "float32", special=False), of=target)


def _eigh(d: Draw, name: str) -> Call:
    def target(m: Any, x: Any) -> Any:
        w, v = m.np.linalg.eigh(_apart(m, x))
        return w, v**2

    return d.call(name, d.array(d.pick((1, 1), (3, 3), (2, 3, 3)), "float32", special=False), of=target)


spec("np.linalg.inv", _of("inv", *_SQUARE, make=_dominant), ulps=64)
spec("np.linalg.det", _of("det", *_SQUARE, make=_dominant), ulps=64)
spec("np.linalg.slogdet", _of("slogdet", *_SQUARE, make=_dominant), ulps=64)
spec("np.linalg.pinv", _of("pinv", (3, 3), (1, 1), (2, 3, 3), make=_dominant), ulps=128)
spec("np.linalg.cholesky", _of("cholesky", *_SQUARE, make=_definite), ulps=64)
spec("np.linalg.matrix_power", _power, ulps=64)
spec("np.linalg.solve", _solve, ulps=64)
spec("np.linalg.norm", _norm, ulps=16)
spec("np.linalg.qr", _qr, ulps=128)
spec("np.linalg.eigh", _eigh, ulps=256)
spec("np.linalg.eigvalsh", _of("eigvalsh", (1, 1), (3, 3), (2, 3, 3), make=_apart), ulps=64)
spec("np.linalg.svdvals", _of("svdvals", (1, 1), (3, 3), (2, 3, 3), make=_apart), ulps=64)
spec("np.linalg.outer", lambda d, n: d.call(n, *operands(d, ((3,), (4,)), ((0,), (2,)), ((1,), (1,)))))
spec("np.linalg.matmul", lambda d, n: d.call(n, *operands(d, ((3, 4), (4, 3)), ((2, 3, 4), (4, 3)), ((3, 0), (0, 3)))))
spec("np.linalg.multi_dot", lambda d, n: d.call(n, list(operands(d, ((3, 4), (4, 3)), ((1, 2), (2, 5))))))
spec("np.linalg.matrix_transpose trace diagonal", lambda d, n: d.call(n, d.array(d.pick((3, 4), (2, 3, 3), (0, 2)))))


# --- transforms -------------------------------------------------------------------------------------------------


def _parts(m: Any, z: Any) -> Any:
    return m.np.stack([m.np.real(z), m.np.imag(z)])


def _fft(function: str, real: bool) -> Build:
    def build(d: Draw, name: str) -> Call:
        shape = d.pick((1,), (2,), (5,), (8,), (3, 6), (2, 7), (2, 3, 4))
        many = function.endswith(("2", "n"))
        shape = shape if len(shape) > 1 or not many else (3, *shape)
        xs = [d.array(shape, "float32", special=False) for _ in range(1 if real else 2)]
        kwargs = d.options(norm=("ortho", "forward")) | ({} if many else d.options(n=(4, 9), axis=(0, -1)))

        def target(m: Any, x: Any, y: Any = None) -> Any:
            return _parts(m, getattr(m.np.fft, function)(x if y is None else x + 1j * y, **kwargs))

        return d.call(f"{name} {kwargs or ''}", *xs, of=target)

    return build


for _name in ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn", "irfft", "irfft2", "irfftn", "hfft"):
    spec(f"np.fft.{_name}", _fft(_name, real=False), ulps=32)
for _name in ("rfft", "rfft2", "rfftn", "ihfft"):
    spec(f"np.fft.{_name}", _fft(_name, real=True), ulps=32)
spec("np.fft.fftshift ifftshift", lambda d, n: d.call(n, d.array(d.shape(1)), **d.options(axes=(0, -1))))
spec("np.fft.fftfreq rfftfreq", lambda d, n: d.call(n, d.integer(1, 9), **d.options(d=(0.5, 2.0))), derivatives=False,
     mapped=False)  # fmt: skip


# --- scipy.linalg -----------------------------------------------------------------------------------------------

_ONE = ((1, 1), (3, 3), (5, 5))  # SciPy's names take one matrix or a stack of them
_OBLONG = ((3, 3), (4, 2), (2, 4), (1, 1))


def _scipy(function: str, *shapes: tuple[int, ...], **fields: Any) -> Build:
    return _of(function, *shapes, root="scipy.linalg", **fields)


def _with(function: Callable[..., Any], make: Callable[..., Any], **options: Any) -> Build:
    """``function(m, conditioned matrix, right side, **options)``."""

    def build(d: Draw, name: str) -> Call:
        n = d.pick(1, 3, 4)
        a, b = (d.array(s, "float32", special=False) for s in ((n, n), d.pick((n,), (n, 2), (n, 1))))
        kwargs = d.options(**options)
        return d.call(f"{name} {kwargs or ''}", a, b, of=lambda m, x, y: function(m, make(m, x), y, **kwargs))

    return build


def _cho_solve(m: Any, a: Any, b: Any, lower: bool = False) -> Any:
    return m.scipy.linalg.cho_solve(m.scipy.linalg.cho_factor(a, lower), b)


def _lu_solve(m: Any, a: Any, b: Any, trans: int = 0) -> Any:
    return m.scipy.linalg.lu_solve(m.scipy.linalg.lu_factor(a), b, trans)


def _triangular_solve(m: Any, a: Any, b: Any, **options: Any) -> Any:
    return m.scipy.linalg.solve_triangular(a, b, **options)


def _toeplitz(d: Draw, name: str) -> Call:
    c, r = (d.array(d.pick((3,), (1,), (4,)), d.dtype(("float32", "int32"))) for _ in range(2))
    return d.call(name, c, *((r,) if d.flag() else ()))


def _block_diag(d: Draw, name: str) -> Call:
    shapes = ((2, 3), (1, 1), (3,), (), (0, 2))
    return d.call(name, *(d.array(d.pick(*shapes), d.dtype(("float32", "int32"))) for _ in range(d.integer(1, 3))))


def _small(m: Any, x: Any) -> Any:
    return x / 4


def _unsigned(m: Any, qr: Any) -> Any:
    return (qr[0] @ qr[1], m.np.abs(qr[1])) if len(qr) > 1 else m.np.abs(qr[0])


def _scipy_qr(d: Draw, name: str) -> Call:
    """Of a tall matrix and all columns of q, ours has no derivative: RefusedError says so."""
    call = _scipy("qr", *_OBLONG, make=_dominant_of_any, parts=_unsigned, mode=("economic", "r"))(d, name)
    rows, columns = call.inputs()[0].shape
    call.special = rows > columns
    return call


def _eigen(m: Any, out: Any) -> Any:
    return (out[0], out[1] ** 2) if isinstance(out, tuple) else out


spec("scipy.linalg.inv", _scipy("inv", *_ONE, make=_dominant), ulps=64)
spec("scipy.linalg.det", _scipy("det", *_ONE, make=_dominant), ulps=64)
spec("scipy.linalg.cholesky", _scipy("cholesky", *_ONE, make=_definite, lower=(True, False)), ulps=64)
spec("scipy.linalg.cho_factor", _scipy("cho_factor", *_ONE, make=_definite, lower=(True, False),
                                       parts=lambda m, out: out[0]), ulps=64)  # fmt: skip
spec("scipy.linalg.lu", _scipy("lu", *_OBLONG, make=_dominant_of_any, permute_l=(True, False)), ulps=64)
spec("scipy.linalg.lu_factor", _scipy("lu_factor", *_ONE, make=_dominant), ulps=64)
spec("scipy.linalg.qr", _scipy_qr, ulps=128)
spec("scipy.linalg.svd", _scipy("svd", *_ONE, make=_apart, parts=lambda m, out: out[1] if isinstance(out, tuple) else
                                out, compute_uv=(False,)), ulps=128)  # fmt: skip
spec("scipy.linalg.eigh", _scipy("eigh", *_ONE, make=_apart, parts=_eigen, eigvals_only=(True,), lower=(False,)),
     ulps=256)  # fmt: skip
spec("scipy.linalg.expm", _scipy("expm", (1, 1), (3, 3), (2, 3, 3), (0, 0), make=_small), ulps=128)
spec("scipy.linalg.solve", _with(lambda m, a, b, **o: m.scipy.linalg.solve(a, b, **o), _definite,
                                 assume_a=("gen", "sym", "pos"), lower=(True,)), ulps=64)  # fmt: skip
spec("scipy.linalg.solve_triangular", _with(_triangular_solve, _dominant, trans=(0, 1, "T"), lower=(True,),
                                            unit_diagonal=(False,)), ulps=64)  # fmt: skip
spec("scipy.linalg.cho_solve", _with(_cho_solve, _definite, lower=(True,)), ulps=64)
spec("scipy.linalg.lu_solve", _with(_lu_solve, _dominant, trans=(0, 1, 2)), ulps=64)
spec("scipy.linalg.toeplitz", _toeplitz, size="value")
spec("scipy.linalg.block_diag", _block_diag, size="value")
