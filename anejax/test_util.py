"""Derivatives against differences: ``check_grads`` for functions and their rules, as ``jax.test_util``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.api.autodiff import jvp, linearize, vjp

__all__ = [
    "check_grads", "check_jvp", "check_vjp"
]  # fmt: skip

_STEP = 1e-4
# The allowed error of a derivative's elements, by the bits of a real number of its dtype; bfloat16 has 8 bits of
# fraction. jax.test_util has the same.
_OFF = {16: 1e-2, 32: 2e-3, 64: 1e-5}
_OFF_BFLOAT16, _OFF_COMPLEX64 = 1e-1, 1e-3


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int,
    modes: Sequence[str] = ("fwd", "rev"),
    atol: Any = None,
    rtol: Any = None,
    eps: float | None = None,
) -> None:
    """Compares the derivatives of ``f`` at ``args`` with central differences, in one random direction.

    Args:
        f: a function of arrays or trees of arrays.
        args: where.
        order: up to which derivative.
        modes: of "fwd" (``jvp``), "rev" (``vjp``) and "lin" (``linearize``).
        atol, rtol: the allowed error of an element, a number or a dictionary by dtype; the dtype decides by default.
        eps: the step of the differences, 1e-4 if not given.

    Raises:
        AssertionError: a derivative differs.

    Example:
        >>> import anejax.numpy as jnp
        >>> check_grads(lambda x: jnp.sin(x) ** 2, (0.5,), order=2)
    """
    options = {"atol": atol, "rtol": rtol, "eps": eps or _STEP}
    forward = {"fwd": jvp, "lin": _by_linearize}

    def check(f: Callable[..., Any], args: tuple[Any, ...], order: int, said: str) -> None:
        for mode in modes:
            text = f"{mode} of {said}" if said else mode
            if mode == "rev":
                check_vjp(f, functools.partial(vjp, f), args, err_msg=text, **options)
                following, given = _transposed(f), args
            else:
                derivative = functools.partial(forward[mode], f)
                check_jvp(f, derivative, args, err_msg=text, **options)
                following, given = derivative, (args, args)
            if order > 1:
                check(following, given, order - 1, text)

    if unknown := set(modes) - {*forward, "rev"}:
        raise ValueError(f"[check_grads] expected modes of fwd, rev and lin, got {', '.join(sorted(unknown))}.")
    check(f, tuple(args), order, "")


def check_jvp(
    f: Callable[..., Any],
    f_jvp: Callable[..., Any],
    args: Sequence[Any],
    atol: Any = None,
    rtol: Any = None,
    eps: float = _STEP,
    err_msg: str = "",
) -> None:
    """Compares ``f_jvp(args, tangents)``, such as ``partial(jvp, f)``, with ``f`` and its central differences.

    Raises AssertionError. The arguments are those of ``check_grads``; ``err_msg`` begins the error's text.
    """
    args = tuple(args)
    direction = _random(_same(), args)
    value, derivative = f_jvp(args, direction)
    _close(value, f(*args), atol, rtol, f"{err_msg} value")
    _close(derivative, _difference(f, args, direction, eps), atol, rtol, f"{err_msg} derivative")


def check_vjp(
    f: Callable[..., Any],
    f_vjp: Callable[..., Any],
    args: Sequence[Any],
    atol: Any = None,
    rtol: Any = None,
    eps: float = _STEP,
    err_msg: str = "",
) -> None:
    """Compares the value and the pullback of ``f_vjp(*args)``, such as ``partial(vjp, f)``, with ``f`` and its central
    differences: both are products of the derivative with one random direction on each side.

    Raises AssertionError. The arguments are those of ``check_grads``; ``err_msg`` begins the error's text.
    """
    args, rng = tuple(args), _same()
    value, pull = f_vjp(*args)
    _close(value, f(*args), atol, rtol, f"{err_msg} value")
    direction = _random(rng, args)
    weights = _random(rng, value)
    pulled = _conjugate(pull(_conjugate(weights)))
    forward = _difference(f, args, direction, eps)
    _close(_product(direction, pulled), _product(forward, weights), atol, rtol, f"{err_msg} derivative")


def _by_linearize(f: Callable[..., Any], args: Any, tangents: Any) -> Any:
    value, linear = linearize(f, *args)
    return value, linear(*tangents)


def _transposed(f: Callable[..., Any]) -> Callable[..., Any]:
    """The pullback of the value itself, whose derivative is of the next order."""

    def following(*args: Any) -> Any:
        value, pull = vjp(f, *args)
        return pull(value)

    return following


def _same() -> np.random.RandomState:
    """The directions that jax.test_util takes, so that what passes there with differences of few digits passes here."""
    return np.random.RandomState(0)


def _random(rng: np.random.RandomState, of: Any) -> Any:
    """Normal numbers of the shapes and dtypes of a tree."""

    def leaf(x: Any) -> Any:
        x = np.asarray(x)
        dtype = dtypes.canonical(x.dtype)
        if not (dtypes.is_float(dtype) or dtypes.is_complex(dtype)):
            return np.zeros(x.shape, dtypes.float0)
        drawn = rng.randn(*x.shape)
        return np.asarray(drawn + 1j * rng.randn(*x.shape) if dtypes.is_complex(dtype) else drawn).astype(dtype)

    return tree.map(leaf, of)


def _conjugate(of: Any) -> Any:
    return tree.map(lambda x: np.conj(x) if dtypes.is_complex(x.dtype) else x, of)


def _difference(f: Callable[..., Any], args: Any, direction: Any, eps: float) -> Any:
    def moved(sign: float) -> Any:
        return f(
            *tree.map(lambda x, d: x if d.dtype == dtypes.float0 else _typed(x + sign * eps * d, d), args, direction)
        )

    def leaf(up: Any, down: Any) -> Any:
        up, down = np.asarray(up), np.asarray(down)
        if not (dtypes.is_float(up.dtype) or dtypes.is_complex(up.dtype)):
            return np.zeros(up.shape, dtypes.float0)
        same = up == down  # infinities too
        with np.errstate(invalid="ignore"):
            return np.where(same, 0, (up - down).astype(_wide(up.dtype)) / (2 * eps)).astype(up.dtype)

    return tree.map(leaf, moved(1.0), moved(-1.0))


def _typed(x: Any, like: np.ndarray) -> np.ndarray:
    return np.asarray(x).astype(like.dtype)


def _wide(dtype: Any) -> type:
    return np.complex128 if dtypes.is_complex(dtype) else np.float64


def _product(a: Any, b: Any) -> np.ndarray:
    """The real inner product of two trees, in the narrowest of their dtypes."""
    pairs = [(np.asarray(x), np.asarray(y)) for x, y in zip(tree.leaves(a), tree.leaves(b), strict=True)]
    pairs = [(x, y) for x, y in pairs if x.dtype != dtypes.float0]
    total = sum(float(np.vdot(x.astype(_wide(x.dtype)), y.astype(_wide(y.dtype))).real) for x, y in pairs)
    narrow = min(
        (dtypes.finfo(y.dtype).dtype for _, y in pairs), key=lambda d: dtypes.finfo(d).bits, default=np.float32
    )
    return np.asarray(total, narrow)


def _close(found: Any, expected: Any, atol: Any, rtol: Any, said: str) -> None:
    """Raises AssertionError unless two trees are equal within what their dtypes allow for each element."""

    def leaf(x: Any, y: Any) -> None:
        x, y = np.asarray(x), np.asarray(y)
        if dtypes.float0 in (x.dtype, y.dtype):
            return
        off = [max(_allowed(x.dtype, given), _allowed(y.dtype, given)) * x.size for given in (atol, rtol)]
        wide = [a.astype(_wide(a.dtype)) for a in (x, y)]
        np.testing.assert_allclose(*wide, atol=off[0], rtol=off[1], err_msg=said.strip())

    tree.map(leaf, found, expected)


def _allowed(dtype: Any, given: Any) -> float:
    if given is not None and not isinstance(given, dict):
        return given
    named = {np.dtype(key): value for key, value in (given or {}).items()}
    if np.dtype(dtype) in named:
        return named[np.dtype(dtype)]
    if not (dtypes.is_float(dtype) or dtypes.is_complex(dtype)):
        return 0.0
    if dtype == dtypes.bfloat16:
        return _OFF_BFLOAT16
    return _OFF_COMPLEX64 if dtype == np.complex64 else _OFF[int(dtypes.finfo(dtype).bits)]
