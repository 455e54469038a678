"""Functions that choose between values: where, select, clip, piecewise, interpolation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.array import Array
from anejax.errors import DtypeError, ShapeError
from anejax.numpy import elementwise as ew
from anejax.numpy.operands import as_array, astype, finish, is_scalar, operand, promote, strong
from anejax.numpy.taking import nonzero
from anejax.numpy.types import iscomplexobj
from anejax.ops import arithmetic


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Array:
    """The choice of the first condition that holds, else ``default``, element by element."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ShapeError(f"[select] expected as many conditions as choices, got {len(condlist)} and {len(choicelist)}.")
    *choices, out = promote("select", *choicelist, default)
    for condition, choice in zip(reversed(list(condlist)), reversed(choices)):
        condition = operand("select", condition)
        out = ew._select("select", ew.to_bool(condition), choice, out)
    return finish(out)


def clip(arr: Any = None, /, min: Any = None, max: Any = None, **old: Any) -> Array:
    """``arr`` limited to [min, max], element by element; None is no limit. NaN stays.

    Example:
        >>> import anejax.numpy as jnp
        >>> jnp.clip(jnp.arange(4), 1, 2)
        Array([1, 1, 2, 2], dtype=int32)
    """
    twice = ("a_min" in old or "a_max" in old) and (min is not None or max is not None)
    low, high, x = old.pop("a_min", min), old.pop("a_max", max), old.pop("a", arr)
    if old or x is None or twice:
        raise TypeError(f"[clip] expected an array, min and max, got {sorted(old) or 'no array'}.")
    x = as_array("clip", x)
    if any(v is not None and iscomplexobj(v) for v in (x, low, high)):
        raise DtypeError("[clip] expected real numbers: complex ones have no order. Clip x.real and x.imag.")
    if low is not None:
        x = ew.maximum(low, x)
    if high is not None:
        x = ew.minimum(high, x)
    return x


def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Array:
    """``choices[a]``, element by element. ``mode`` "clip" or "wrap" decides how indices out of bounds are treated."""
    ew.refuse("choose", out=out)
    which = as_array("choose", a)
    if which.dtype not in dtypes.INTS:
        raise DtypeError(f"[choose] expected integer indices, got {which.aval}.")
    options = promote("choose", *choices)
    n = len(options)
    if mode == "raise":
        host = np.asarray(which)
        if host.size and (host.min() < 0 or host.max() >= n):
            raise ValueError(f"[choose] expected indices in [0, {n}), got {host.min()} to {host.max()}.")
    elif mode == "clip":
        which = clip(which, 0, n - 1)
    elif mode == "wrap":
        which = ew.remainder(which, n)
    else:
        raise ValueError(f"[choose] expected mode 'raise', 'clip' or 'wrap', got {mode!r}.")
    result = options[0]
    for i, option in enumerate(options[1:], 1):
        result = ew._select("choose", arithmetic.eq(which, np.asarray(i, which.dtype)), option, result)
    return strong(finish(ew._select("choose", arithmetic.ge(which, np.zeros((), which.dtype)), result, result)))


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> Array:
    """``funclist[i](x)`` where ``condlist[i]`` holds, the last one elsewhere (0 when there is none)."""
    x = as_array("piecewise", x)
    conditions = list(condlist) if isinstance(condlist, (list, tuple)) or np.ndim(condlist) > x.ndim else [condlist]
    if len(funclist) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"[piecewise] expected {len(conditions)} or {len(conditions) + 1} functions, got {len(funclist)}."
        )
    values = [f(x, *args, **kw) if callable(f) else f for f in funclist]
    default = values.pop() if len(values) > len(conditions) else 0
    out = astype(default if is_scalar(default) else as_array("piecewise", default), x.dtype)
    for condition, value in zip(conditions, values):  # the last condition that holds wins
        value = astype(value if is_scalar(value) else as_array("piecewise", value), x.dtype)
        out = ew._select("piecewise", ew.to_bool(operand("piecewise", condition)), value, out)
    return finish(out)


def where_select(condition: Any, x: Any, y: Any) -> Array:
    """``x`` where ``condition`` holds, else ``y``: three operands that broadcast."""
    condition = ew.to_bool(operand("where", condition))
    x, y = promote("where", x, y)
    return finish(ew._select("where", condition, x, y))


def where(condition: Any, x: Any = None, y: Any = None, /, *, size: Any = None, fill_value: Any = None) -> Any:
    """``x`` where ``condition`` holds, else ``y``; the three broadcast. With one argument: ``nonzero(condition)``.

    Example:
        >>> import anejax.numpy as jnp
        >>> x = jnp.arange(3.0)
        >>> jnp.where(x > 0, x, -1.0)
        Array([-1.,  1.,  2.], dtype=float32)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise ValueError("[where] expected both x and y, or neither.")
    if size is not None or fill_value is not None:
        raise ValueError("[where] size and fill_value go with one argument only.")
    return where_select(condition, x, y)
