"""Specs of scipy.stats: every function of every law, over its support and beyond.

Values are held against SciPy in float64, where that has the function and is finite; types and derivatives against jax.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import scipy.stats as st

from tests.generated.draw import Call, Draw, is_array
from tests.generated.libraries import OURS
from tests.generated.spec import Build, spec
from tests.generated.special import EVERYWHERE, PLUS, UNIT, of

BEYOND = (*EVERYWHERE, 2.0, -0.3, 60.0)
FAR = (-12.0, 12.0, (*EVERYWHERE, 40.0, -40.0))
RIGHT = (0.05, 20.0, BEYOND)
FINITE = (0.05, 20.0, tuple(x for x in BEYOND if x != np.inf))  # where jax and SciPy have NaN
BOUNDED = tuple(x for x in PLUS if x != np.inf)  # a mean: beyond it is -inf or NaN, as one likes
INSIDE = (0.05, 0.95, (*UNIT, *BEYOND))
LEVEL = (0.0, 1.0, UNIT)
SHAPE = (0.1, 30.0, ())
CHANCE = (0.02, 0.98, ())
COUNT = (-1, 30, ())


def law(*ranges: Any, loc: Any = (-2, 0), scale: Any = (0.25, 3), poles: Any = (), **fields: Any) -> Build:
    """Arguments for each (low, high, edges), then loc and scale or neither.

    Within their ranges x is inside of the support. Beyond, jax's derivatives are often NaN and not compared:
    tests/scipy/test_laws.py has them. Nor are those at ``poles``, which jax rounds to numbers.
    """

    def build(d: Draw, name: str) -> Call:
        call = of(*ranges, **fields)(d, name)
        x, *shapes = call.args
        whole = fields.get("whole", ())
        ints = not is_array(x) or x.dtype.kind == "i"
        if ints:  # jax's weak type of whole numbers and a Python float depends on the law
            shapes = [s if is_array(s) else np.asarray(s, np.float32) for s in shapes]
        d.special |= (ints and 0 not in whole) or bool(np.isin(np.asarray(x, float), poles).any())
        d.special |= any(not np.all(s) for i, s in enumerate(shapes, 1) if i not in whole)  # of whole numbers
        shape, dtype = getattr(x, "shape", ()), np.dtype("float32") if ints else x.dtype
        options = {}
        if loc:
            options["loc"] = (-1, d.array(d.partner(shape), "int32" if whole else dtype, *loc, special=False))
        if scale:
            one = np.asarray(scale[1], np.float32) if ints else max(1, scale[0])
            options["scale"] = (one, d.array(d.partner(shape), dtype, *scale, special=False))
        return d.call(name, x, *shapes, **d.options(**options))

    return build


def _truncated(d: Draw, name: str) -> Call:
    """Across the middle with loc and scale, or in either tail."""
    middle = d.pick(0, 0, 5, -5)
    bounds = ((-2.0, 2.0, BEYOND), (-4.0, -2.5, ()), (2.5, 4.0, ()))
    call = law(*bounds, loc=(-0.5, 0.1), scale=(1.1, 2))(d, name)
    return d.call(name, *(x + np.asarray(middle).astype(getattr(x, "dtype", float)) for x in call.args),
                  **({} if middle else call.kwargs))  # fmt: skip


# function: (ulps, what errors are measured in)
LIMITS = {"logpdf": (32, "one"), "pdf": (32, "exp"), "cdf": (32, "exp"), "logcdf": (64, "one"), "sf": (32, "exp"),
          "logsf": (64, "one"), "ppf": (32, "sum"), "isf": (32, "sum"), "logpmf": (32, "one"), "pmf": (32, "exp"),
          "entropy": (32, "one")}  # fmt: skip


def specs(name: str, functions: str, build: Build, ulps: float = 1, **fields: Any) -> None:
    """A spec for each function of a law, with ``ulps`` times the limit of its name."""
    for function in functions.split():
        limit, size = LIMITS[function]
        oracle = fields.get("oracle", getattr(getattr(st, name), function))
        made_of = inspect.unwrap(getattr(getattr(OURS.scipy.stats, name), function))
        more = {"composed": made_of.__name__ != function, **fields, "oracle": oracle}
        spec(f"scipy.stats.{name}.{function}", build, ulps=ulps * limit, size=size, **more)


DENSITY, TAILS, QUANTILES = "logpdf pdf", "cdf logcdf sf logsf", "ppf isf"
specs("norm", f"{DENSITY} {TAILS}", law(FAR))
specs("norm", QUANTILES, law(LEVEL, dtypes=("float32",)))
specs("cauchy", f"{DENSITY} {TAILS}", law(FAR))
specs("cauchy", QUANTILES, law(LEVEL, poles=(0, 1)), slope_error=1e-12)
specs("laplace", f"{DENSITY} cdf", law(FAR))
specs("logistic", f"{DENSITY} cdf sf", law(FAR))
specs("logistic", QUANTILES, law(LEVEL))
specs("gumbel_l", f"{DENSITY} {TAILS}", law((-12.0, 4.0, FAR[2])))
specs("gumbel_r", f"{DENSITY} {TAILS}", law((-4.0, 12.0, FAR[2])))
specs("gumbel_l", "ppf", law(LEVEL))
specs("gumbel_r", "ppf", law(LEVEL))
specs("t", DENSITY, law(FAR, SHAPE))
specs("gennorm", f"{DENSITY} cdf", law(FAR, (0.4, 5.0, ()), loc=None, scale=None))
specs("vonmises", DENSITY, law(FAR, (0.0, 50.0, PLUS), loc=None, scale=None))
specs("wrapcauchy", DENSITY, law((0.1, 6.0, BEYOND), CHANCE, loc=None, scale=None))
specs("uniform", f"{DENSITY} cdf", law(INSIDE, loc=(-0.5, 0), scale=(1.5, 3)))
specs("uniform", "ppf", law(LEVEL))
specs("expon", f"{DENSITY} {TAILS}", law(RIGHT))
specs("expon", "ppf", law(LEVEL))
specs("pareto", f"{DENSITY} {TAILS}", law((1.1, 20.0, BEYOND), SHAPE, scale=(0.25, 1)))
specs("pareto", "ppf", law(LEVEL, SHAPE))
specs("gamma", f"{DENSITY} {TAILS}", law(FINITE, SHAPE))
specs("chi2", f"{DENSITY} {TAILS}", law(FINITE, SHAPE), composed=True)  # of gamma
specs("beta", f"{DENSITY} {TAILS}", law(INSIDE, SHAPE, SHAPE, loc=(-0.5, 0), scale=(1.5, 3)))
specs("truncnorm", f"{DENSITY} {TAILS}", _truncated)

specs("bernoulli", "logpmf pmf", law((-1, 3, ()), CHANCE, scale=None, whole=(0,)))
specs("bernoulli", "cdf", law((-1, 3, EVERYWHERE), CHANCE, loc=None, scale=None))
specs(
    "bernoulli",
    "ppf",
    law(LEVEL, CHANCE, loc=None, scale=None),
    oracle=lambda q, p: np.where(q == 0, 0, st.bernoulli.ppf(q, p)),
)  # SciPy has -1 there
specs("binom", "logpmf pmf", law(COUNT, (0, 40, ()), CHANCE, scale=None, whole=(0, 1)))
specs("betabinom", "logpmf pmf", law(COUNT, (0, 40, ()), SHAPE, SHAPE, scale=None, whole=(0, 1)))
specs("nbinom", "logpmf pmf", law(COUNT, SHAPE, CHANCE, scale=None, whole=(0,)))
specs("geom", "logpmf pmf", law(COUNT, CHANCE, scale=None, whole=(0,)))
specs("poisson", "logpmf pmf", law(COUNT, (0.05, 40.0, BOUNDED), scale=None, whole=(0,)))
specs("poisson", "cdf", law((-1.0, 30.0, EVERYWHERE), (0.05, 40.0, PLUS), scale=None))
specs(
    "poisson", "entropy", law((0.05, 90.0, ()), scale=None), ulps=4, derivatives=False,  # jax's are NaN
    oracle=lambda mu, loc=0: np.broadcast_arrays(st.poisson.entropy(mu) if np.size(mu) else mu, loc)[0],
)  # fmt: skip
