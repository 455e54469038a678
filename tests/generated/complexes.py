"""Specs of complex numbers: functions of their real and imaginary parts, so that derivatives are compared in both.

Errors are measured by the size of all elements (``judge.total``): those of a part are of the size of the number.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.generated.draw import Call, Draw
from tests.generated.spec import Build, spec


def parts_of(m: Any, out: Any) -> Any:
    """The real and imaginary parts of what is complex of a result, the rest as it is."""
    if isinstance(out, (tuple, list)):
        return [parts_of(m, item) for item in out]
    return [m.np.real(out), m.np.imag(out)] if m.np.iscomplexobj(out) else out


def parts(d: Draw, shape: tuple[int, ...], low: float = -2, high: float = 2) -> list[np.ndarray]:
    return [d.array(shape, "float32", low, high, special=False) for _ in range(2)]


def _applied(path: str, options: dict[str, Any]) -> Callable[..., Any]:
    """The function on complex arrays, which pairs of its arguments are the parts of; one left over is real."""

    def of(m: Any, *xs: Any) -> Any:
        numbers = [m.lax.complex(*xs[i : i + 2]) if i + 1 < len(xs) else xs[i] for i in range(0, len(xs), 2)]
        return parts_of(m, operator.attrgetter(path)(m)(*numbers, **options))

    return of


def _call(d: Draw, name: str, *args: Any, **options: Any) -> Call:
    return d.call(f"{name} {options}", *args, of=_applied(name.partition("~")[0], options))


def unary(low: float = -2, high: float = 2, rank: tuple[int, int] = (0, 3)) -> Build:
    return lambda d, name: _call(d, name, *parts(d, d.shape(*rank), low, high))


def _binary(d: Draw, name: str) -> Call:
    """Two complex arrays that broadcast, or one and a real one."""
    shape = d.shape()
    other = d.partner(shape)
    second = parts(d, other, 0.5, 3) if d.flag() else [d.array(other, "float32", 0.5, 3, special=False)]
    return _call(d, name, *parts(d, shape), *second)


def _reduction(d: Draw, name: str) -> Call:
    x = parts(d, d.filled())
    return _call(d, name, *x, axis=d.axes(x[0].ndim), **d.options(keepdims=(True,)))


def _along(d: Draw, name: str) -> Call:
    x = parts(d, d.filled(1), -1.5, 1.5)
    return _call(d, name, *x, axis=d.axis(x[0].ndim))


def _of_shapes(*pairs: Any, **options: Any) -> Build:
    def build(d: Draw, name: str) -> Call:
        return _call(d, name, *(p for shape in d.pick(*pairs) for p in parts(d, shape)), **options)

    return build


def _solved(d: Draw, name: str) -> Call:
    n = d.pick(1, 3)
    matrix, shift = parts(d, (n, n)), np.eye(n, dtype=np.float32) * 8
    vectors = parts(d, d.pick((n,), (n, 2))) if name.startswith("np.linalg.solve") else []
    return _call(d, name, matrix[0] + shift, matrix[1], *vectors)


MATRICES = (((3, 4), (4, 2)), ((4,), (4,)), ((2, 3, 4), (4, 1)), ((3, 0), (0, 2)))
VALUES: dict[str, Any] = {"ulps": 16, "slope_ulps": 64}

spec("np.exp~complex sin~complex cos~complex tanh~complex square~complex conj~complex abs~complex expm1~complex "
     "sinh~complex real~complex", unary(), **VALUES)  # fmt: skip
spec("np.log~complex sqrt~complex arctan~complex reciprocal~complex log1p~complex angle~complex sign~complex",
     unary(0.25, 2), **VALUES)  # fmt: skip
spec("np.arcsin~complex arccosh~complex arctanh~complex", unary(0.25, 0.75), composed=True, **VALUES)
spec("np.add~complex multiply~complex true_divide~complex power~complex", _binary, **VALUES)
spec("np.maximum~complex minimum~complex logaddexp~complex equal~complex", _binary, **VALUES)
spec("np.sum~complex prod~complex mean~complex var~complex max~complex min~complex", _reduction, **VALUES)
spec("np.cumsum~complex cumprod~complex sort~complex argmax~complex", _along, **VALUES)
spec("np.matmul~complex", _of_shapes(*MATRICES), **VALUES)
spec("np.vdot~complex", _of_shapes(((3,), (3,)), ((2, 3), (2, 3))), **VALUES)
spec("np.convolve~complex", _of_shapes(((7,), (3,)), ((1,), (2,))), **VALUES)
spec("np.linalg.solve~complex inv~complex", _solved, ulps=64, slope_ulps=256)
spec("lax.logistic~complex", unary(-4, 4), **VALUES)
spec("lax.cumlogsumexp~complex", lambda d, n: _call(d, n, *parts(d, (5,))), **VALUES)
spec("nn.softplus~complex", unary(-4, 4), **VALUES)
# 2i - 2zw, its derivative, loses digits where z is large
spec("scipy.special.wofz", unary(0, 3), derivatives=False, **VALUES)
