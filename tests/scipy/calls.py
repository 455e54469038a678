"""One call on both libraries: types as in jax, values too or as SciPy has them in float64, eager and under jit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import anejax as aj
import anejax.numpy as anp
from tests.answers import answers
from tests.numpy.compare import assert_close, assert_same_type, tree_leaves


def agrees(
    ours: Callable[..., Any], theirs: Callable[..., Any], *args: Any, exact: Callable[..., Any] | None = None,
    ulps: float = 16, scale: float = 1, jit: bool = True, **kwargs: Any,
) -> list[Any]:  # fmt: skip
    """The arrays of our result. NumPy arrays among ``args`` are the inputs; ``exact`` is given them in float64."""
    places = [i for i, a in enumerate(args) if isinstance(a, np.ndarray)]

    def put(xs: Any) -> list[Any]:
        whole = list(args)
        for i, x in zip(places, xs, strict=True):
            whole[i] = x
        return whole

    inputs = [args[i] for i in places]
    arrays = lambda out: [x for x in tree_leaves(out) if x is not None]  # noqa: E731
    call = lambda *xs: arrays(ours(*put(xs), **kwargs))  # noqa: E731
    got = call(*map(anp.asarray, inputs))
    # jitted, since one compile of jax takes less time than one for each operation
    compiled = jax.jit(lambda *xs: arrays(theirs(*put(xs), **kwargs)))
    want = answers(lambda: compiled(*map(jnp.asarray, inputs)), "jit", theirs, args, kwargs)
    assert len(got) == len(want)
    values = want if exact is None else arrays(exact(*put(map(wide, inputs)), **kwargs))
    staged = aj.jit(call)(*map(anp.asarray, inputs)) if jit and inputs else got
    for a, b, value, again in zip(got, want, values, staged, strict=True):
        assert_same_type(a, b)
        assert_same_type(again, b, "jit")
        assert_close(a, np.asarray(value).astype(a.dtype), ulps=ulps, scale=scale)
        assert_close(again, np.asarray(value).astype(a.dtype), ulps=ulps, scale=scale, what="jit")
    return got


def wide(x: np.ndarray) -> np.ndarray:
    """``x`` in float64 or complex128; integers stay."""
    return x.astype({"c": np.complex128}.get(x.dtype.kind, x.dtype if x.dtype.kind in "iub" else np.float64))
