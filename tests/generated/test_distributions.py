"""Samples against the distributions they are drawn from, in every float dtype, for drawn parameters and fixed keys.

By the inequality of Dvoretzky, Kiefer and Wolfowitz, with Massart's constant: the empirical distribution function of n
samples is further than r from the true one with probability 2 exp(-2 n r^2) at most, of continuous and discrete
distributions alike. Where a fourth moment exists, the mean is held to ``SIGMAS`` standard deviations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, strategies

import anejax as aj
from tests.generated.judge import EPS, TINY
from tests.generated.running import Clock, examples

COUNT, SIGMAS = 2000, 6
REACH = math.sqrt(math.log(2 / 1e-9) / (2 * COUNT))

Frozen = Any
# sampler: (bounds of its parameters, its distribution given them, in float dtypes too)
DISTRIBUTIONS: dict[str, tuple[tuple[tuple[float, float], ...], Callable[..., Frozen], bool]] = {
    "uniform": ((), st.uniform, True),
    "normal": ((), st.norm, True),
    "truncated_normal": (((-2, -0.5), (0.5, 2)), st.truncnorm, True),
    "exponential": ((), st.expon, True),
    "laplace": ((), st.laplace, True),
    "cauchy": ((), st.cauchy, True),
    "gumbel": ((), st.gumbel_r, True),
    "logistic": ((), st.logistic, True),
    "maxwell": ((), st.maxwell, True),
    "rayleigh": (((0.5, 3),), lambda scale: st.rayleigh(scale=scale), True),
    "lognormal": (((0.2, 0.7),), st.lognorm, True),
    "pareto": (((5, 9),), st.pareto, True),
    "gamma": (((0.1, 30),), st.gamma, True),
    "loggamma": (((0.5, 30),), st.loggamma, True),
    "chisquare": (((0.5, 30),), st.chi2, True),
    "beta": (((0.3, 9), (0.3, 9)), st.beta, True),
    "f": (((1, 9), (9, 30)), st.f, True),
    "t": (((5, 30),), st.t, True),
    "generalized_normal": (((0.8, 4),), st.gennorm, True),
    "weibull_min": (((0.5, 3), (0.8, 3)), lambda scale, c: st.weibull_min(c, scale=scale), True),
    "wald": (((0.5, 3),), lambda mean: st.invgauss(mean), True),
    "triangular": (((-2, -1), (0, 1), (2, 3)), lambda a, c, b: st.triang((c - a) / (b - a), a, b - a), True),
    "geometric": (((0.05, 0.9),), st.geom, False),
    "poisson": (((0.1, 60),), st.poisson, False),
    "binomial": (((1, 200), (0.05, 0.95)), lambda n, p: st.binom(math.floor(n), p), False),
}  # fmt: skip


def draw(name: str, seed: int, parameters: list[float], dtype: str | None) -> np.ndarray:
    kwargs: dict[str, Any] = {"shape": (COUNT,)} | ({"dtype": dtype} if dtype else {})
    if name == "binomial":
        parameters = [math.floor(parameters[0]), parameters[1]]
    return np.asarray(getattr(aj.random, name)(aj.random.PRNGKey(seed), *parameters, **kwargs))


def assert_distributed(samples: np.ndarray, law: Frozen) -> None:
    """An element stands for all numbers that round to it."""
    kind = samples.dtype.name
    x = np.sort(samples.astype(np.float64))
    places = np.clip(x, -1e100, 1e100)  # the greatest is infinite where the logarithm of 0 is taken
    rounding = EPS[kind] * np.abs(places) + 2 * TINY[kind] if kind in EPS else 0.5
    assert (np.searchsorted(x, x, "right") / x.size <= law.cdf(places + rounding) + REACH).all()
    assert (np.searchsorted(x, x, "left") / x.size >= law.cdf(places - rounding) - REACH).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_samples_are_of_their_distribution(name: str, clock: Clock) -> None:
    bounds, law_of, floats = DISTRIBUTIONS[name]
    dtypes = ("float32", "bfloat16", "float16") if floats else (None,)

    @examples
    @given(strategies.integers(0, 2**31 - 1), strategies.sampled_from(dtypes))
    def agrees(seed: int, dtype: str | None) -> None:
        if not seed or not clock.runs():
            return
        with clock:
            rng = np.random.default_rng(seed)
            parameters = [float(np.float16(rng.uniform(*b))) for b in bounds]
            samples, law = draw(name, seed, parameters, dtype), law_of(*parameters)
            assert_distributed(samples, law)
            variance = law.var()
            if np.isfinite(variance) and dtype == "float32":
                error = samples.mean(dtype=np.float64) - law.mean()
                assert abs(error) <= SIGMAS * math.sqrt(variance / COUNT)

    agrees()
