"""Specs of the functions of anejax.nn and of anejax.random."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from tests.generated.draw import FLOATS, NUMBERS, Call, Draw
from tests.generated.families import reduction, unary, where_mask
from tests.generated.spec import spec

spec("nn.relu relu6 elu selu celu softplus log_sigmoid mish squareplus soft_sign sparse_plus "
     "sparse_sigmoid hard_tanh hard_sigmoid hard_silu hard_swish tanh identity", unary(NUMBERS, -9, 9),
     ulps=8)  # fmt: skip
spec("nn.log1mexp", unary(FLOATS, 0.25, 9), ulps=8)
spec("nn.sigmoid silu swish", unary(FLOATS, -9, 9), ulps=8)  # of integers: ours only
spec(
    "nn.gelu",
    lambda d, n: d.call(n, d.array(d.shape(), d.dtype(NUMBERS), -6, 6), **d.options(approximate=(False, True))),
    ulps=8,
)
spec(
    "nn.leaky_relu",
    lambda d, n: d.call(n, d.array(d.shape(), d.dtype(NUMBERS)), **d.options(negative_slope=(0.5, 0.1))),
)


def _softmax(d: Draw, name: str) -> Call:
    dtype = d.dtype((*FLOATS, "int32", "int8"))  # jax subtracts the greatest unsigned one, and the differences overflow
    x = d.array(d.filled(1), dtype, -9, 9, special=dtype.kind != "i")
    kwargs = {"axis": d.pick(-1, 0, *(((0, 1),) if x.ndim > 1 else ()))} if d.flag() else {}
    return d.call(
        name, x, **kwargs, **({"where": d.array(x.shape, "bool")} if d.chance(3) and not _wide_int(d, x) else {})
    )


def _wide_int(d: Draw, x: np.ndarray) -> bool:
    """With a mask and x64 jax makes float64 of small integers, float32 without one."""
    return d.x64 and x.dtype.kind == "i"


spec("nn.softmax log_softmax", _softmax, ulps=8)
spec("nn.standardize", _softmax, ulps=16)
spec("nn.logsumexp logmeanexp", reduction(FLOATS, empty=False, where=where_mask), ulps=8)
spec(
    "nn.glu",
    lambda d, n: d.call(n, d.array(d.pick((3, 4), (2, 3, 4), (6,)), d.dtype(FLOATS)), **d.options(axis=(-1,))),
    ulps=8,
)
spec(
    "nn.one_hot",
    lambda d, n: d.call(
        n,
        d.array(d.shape(0, 2), d.dtype(NUMBERS), -1, 5, special=False),
        d.pick(4, 0, 1),
        **d.options(axis=(-1, 0), dtype=("int8", "float16")),
    ),
)


def _attention(d: Draw, name: str) -> Call:
    heads, length, dtype = d.pick(1, 2, 4), d.pick(5, 3), d.dtype(("float32", "float32", "float16"))
    q = d.array((2, 5, 4, 3), dtype, special=False)
    k, v = (d.array((2, length, heads, 3), dtype, special=False) for _ in range(2))
    kwargs: dict[str, Any] = d.options(is_causal=(True,), scale=(0.3,))
    if d.flag():
        kwargs["mask"] = d.rng.random((2, 1, 5, length)) < 0.8
    return d.call(name, q, k, v, **kwargs)


spec("nn.dot_product_attention", _attention, ulps=16)

# --- random -----------------------------------------------------------------------------------------------------------


def _key(d: Draw) -> Any:
    with jax.enable_x64(False):
        return np.asarray(jax.random.PRNGKey(d.seed))


def sampler(
    *parameters: tuple[float, float], dtypes: Any = ("float32", "float16", "bfloat16"), shape: bool = True
) -> Any:
    """A key, parameters between bounds, a shape and a dtype."""

    def build(d: Draw, name: str) -> Call:
        given = [np.float32(d.number(*p)) for p in parameters]
        kwargs: dict[str, Any] = {"shape": d.shape()} if shape else {}
        if dtypes and d.flag():
            kwargs["dtype"] = d.pick(*dtypes)
        return d.call(name, _key(d), *(np.asarray(g) for g in given), **kwargs)

    return build


EXACT: dict[str, Any] = {
    "derivatives": False,
    "mapped": False,
}  # the mapped call is a single one per key: see tests/random
WHOLE = ("int32", "uint32", "int8", "uint8")
spec("random.bits", sampler(dtypes=("uint32", "uint8", "uint16")), **EXACT)
spec("random.split", lambda d, n: d.call(n, _key(d), d.pick(2, 1, 5, (2, 3))), **EXACT)
spec("random.fold_in", lambda d, n: d.call(n, _key(d), d.pick(0, 1, 2**31)), **EXACT)
spec("random.uniform", sampler(), **EXACT)
spec("random.normal gumbel exponential cauchy rademacher", sampler(dtypes=("float32",)), **EXACT)
spec("random.logistic laplace", sampler(dtypes=("float32",)), ulps=64, **EXACT)  # jax's float64 log1p is 33 off
spec("random.maxwell", sampler(dtypes=("float32",)), ulps=16, **EXACT)
spec("random.truncated_normal", sampler((-2, -1), (1, 2), dtypes=("float32",)), ulps=16, **EXACT)
spec("random.rayleigh lognormal pareto", sampler((0.5, 3), dtypes=("float32",)), ulps=16, **EXACT)
spec("random.bernoulli", sampler((0, 1), dtypes=()), **EXACT)


def _randint(d: Draw, name: str) -> Call:
    low = d.integer(-9, 9)
    return d.call(name, _key(d), d.shape(), low, low + d.pick(1, 5, 100, 0), **d.options(dtype=WHOLE))


def _permutation(d: Draw, name: str) -> Call:
    x = d.pick(7, d.array(d.filled(1), d.dtype()))
    return d.call(name, _key(d), x, **d.options(axis=(0,), independent=(True,)))


def _choice(d: Draw, name: str) -> Call:
    n = 7
    kwargs: dict[str, Any] = d.options(replace=(False,))
    if d.flag():
        p = d.rng.random(n)
        kwargs["p"] = (p / p.sum()).astype(np.float32)
    return d.call(name, _key(d), d.pick(n, d.array((n,), "float32")), d.pick((), (3,), (2, 2)), **kwargs)


def _categorical(d: Draw, name: str) -> Call:
    x = d.array(d.filled(1), "float32", special=False)
    return d.call(name, _key(d), x, **d.options(axis=(-1, 0)))


spec("random.randint", _randint, **EXACT)
spec("random.permutation", _permutation, **EXACT)
spec("random.choice", _choice, **EXACT)
spec("random.categorical", _categorical, **EXACT)
