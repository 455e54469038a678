"""Specs of the samplers that draw by rejection, in loops or by factorizations; networks.py has the others.

float32 and float64 come from the candidates that jax accepts, so they are its numbers but for rounding; so are counts.
Of 16-bit floats only types are compared here, since a rounding decides what is accepted: test_distributions.py compares
them with the distributions themselves.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from tests.generated.draw import Call, Draw
from tests.generated.spec import Build, spec

NARROW = ("float16", "bfloat16")


def key_of(d: Draw) -> Any:
    with jax.enable_x64(False):
        return np.asarray(jax.random.PRNGKey(d.seed))


def drawn(d: Draw, name: str, *args: Any, **kwargs: Any) -> Call:
    """A call of a sampler; of 16-bit floats its shape and dtype only."""
    narrow = kwargs.get("dtype") in NARROW

    def of(m: Any, key: Any, *args: Any, **kwargs: Any) -> Any:
        out = getattr(m.random, name.rpartition(".")[2])(key, *args, **kwargs)
        return m.np.zeros_like(out) if narrow else out

    return d.call(name, key_of(d), *args, of=of, **kwargs)


def sampler(*ranges: tuple[float, float], dtypes: Any = (*NARROW, "float32"), shaped: bool = True) -> Build:
    """Parameters between bounds, scalars or arrays that broadcast to the shape, which may be left out."""

    def build(d: Draw, name: str) -> Call:
        shape = d.shape(0, 2)
        form = d.pick("scalars", "arrays", "none") if shaped else "scalars"
        dims = () if form == "scalars" else shape
        parameters = [np.asarray(d.rng.uniform(*r, dims), np.float32) for r in ranges]
        kwargs: dict[str, Any] = {} if form == "none" else {"shape": shape}
        if d.flag() and dtypes:
            kwargs["dtype"] = d.pick(*dtypes)
        return drawn(d, name, *parameters, **kwargs)

    return build


def _generalized_normal(d: Draw, name: str) -> Call:
    return drawn(d, name, d.number(0.8, 4), **d.options(shape=(d.shape(0, 2),), dtype=(*NARROW, "float32")))


def _ball(d: Draw, name: str) -> Call:
    return drawn(d, name, d.integer(1, 4), d.pick(1, 2, 1.5), **d.options(shape=(d.shape(0, 2),), dtype=NARROW))


def _dirichlet(d: Draw, name: str) -> Call:
    alpha = np.asarray(d.rng.uniform(0.2, 5, d.pick((3,), (1,), (2, 3))), np.float32)
    shape = d.pick(None, alpha.shape[:-1], (2, *alpha.shape[:-1]))
    return drawn(d, name, alpha, **({} if shape is None else {"shape": shape}), **d.options(dtype=(*NARROW, "float32")))


def _poisson(d: Draw, name: str) -> Call:
    shape = d.shape(0, 2)
    rate = np.asarray(d.rng.uniform(0, d.pick(3, 30, 1000), d.pick((), shape)), np.float32)
    return d.call(name, key_of(d), rate, shape, **d.options(dtype=("int32", "int16", "uint8")))


def _binomial(d: Draw, name: str) -> Call:
    shape = d.shape(0, 2)
    n = np.asarray(d.rng.integers(0, d.pick(5, 100, 5000), d.pick((), shape))).astype(d.pick("float32", "int32"))
    return d.call(name, key_of(d), n, np.asarray(d.rng.uniform(0, 1, d.pick((), shape)), np.float32), shape)


def _multinomial(d: Draw, name: str) -> Call:
    p = d.rng.uniform(0, 1, d.pick((3,), (2, 4), (1,)))
    p = (p / p.sum(-1, keepdims=True)).astype(np.float32)
    n = np.asarray(d.rng.integers(0, 50, p.shape[:-1]), np.float32)
    return d.call(name, key_of(d), n, p, **d.options(shape=((2, *p.shape), p.shape)))


def _geometric(d: Draw, name: str) -> Call:
    shape = d.shape(0, 2)
    p = np.asarray(d.rng.uniform(0.1, 0.9, d.pick((), shape)), np.float32)
    return d.call(name, key_of(d), p, shape, **d.options(dtype=("int32", "int16")))


def _triangular(d: Draw, name: str) -> Call:
    left, mode, right = (np.float32(x) for x in np.cumsum(d.rng.uniform(0.25, 2, 3)) - 2)
    return drawn(d, name, np.asarray(left), np.asarray(mode), np.asarray(right), shape=d.shape(0, 2))


def _multivariate_normal(d: Draw, name: str) -> Call:
    """By the root that is unique; tests/random has the other methods."""
    n = d.pick(1, 2, 3)
    root = d.rng.uniform(-1, 1, (n, n)) + 2 * np.eye(n)
    mean = np.asarray(d.rng.uniform(-2, 2, d.pick((n,), (2, n))), np.float32)
    cov = (root @ root.T).astype(np.float32)
    shape = d.pick(None, mean.shape[:-1], (3, *mean.shape[:-1]))
    return d.call(name, key_of(d), mean, cov, **({} if shape is None else {"shape": shape}))


def _orthogonal(d: Draw, name: str) -> Call:
    return d.call(name, key_of(d), d.pick(1, 2, 4), **d.options(shape=((2,), (0,)), m=(1, 3)))


# derivatives in the parameters are those of series
SAMPLED: dict[str, Any] = {"ulps": 128, "slope_error": 1e-3}
COUNTED: dict[str, Any] = {"ulps": 0, "derivatives": False}
RATHER_LARGE = (0.5, 9.0)

spec("random.gamma", sampler((0.1, 30)), **SAMPLED)
OF_GAMMAS = {**SAMPLED, "composed": True}
spec("random.loggamma chisquare", sampler((0.1, 30)), **OF_GAMMAS)
spec("random.beta f", sampler(RATHER_LARGE, RATHER_LARGE), **OF_GAMMAS)
spec("random.t", sampler(RATHER_LARGE), **OF_GAMMAS)
spec("random.dirichlet", _dirichlet, **OF_GAMMAS)
spec("random.generalized_normal", _generalized_normal, **OF_GAMMAS)
spec("random.ball", _ball, **OF_GAMMAS)
spec("random.wald", sampler((0.5, 3)), ulps=1024)  # the difference of numbers that are nearly equal
spec("random.weibull_min", sampler((0.5, 3), (0.5, 3), dtypes=("float32",), shaped=False), ulps=64)
spec("random.double_sided_maxwell", sampler((-1, 1), (0.5, 3), dtypes=("float32",), shaped=False), ulps=64)
spec("random.triangular", _triangular, ulps=64)
spec("random.multivariate_normal", _multivariate_normal, ulps=64)
spec("random.orthogonal", _orthogonal, ulps=64, derivatives=False)
spec("random.poisson", _poisson, **COUNTED)
spec("random.binomial", _binomial, **COUNTED)
spec("random.multinomial", _multinomial, composed=True, **COUNTED)  # of binomials
spec("random.geometric", _geometric, **COUNTED)
