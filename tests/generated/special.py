"""Specs of scipy.special and the special functions of lax, each over its whole domain.

Values are held against SciPy in float64, in the units that anejax.scipy.special documents; types and derivatives
against jax.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as exact
import scipy.stats

from tests.generated.draw import FLOATS, Call, Draw
from tests.generated.families import reduction
from tests.generated.spec import Build, spec

EVERYWHERE = (0.0, -0.0, np.inf, -np.inf, np.nan, 1e-30, -1e-30, 1.0, -1.0, 1e4, -1e4)
POLES = (*EVERYWHERE, -2.0, -3.0, -17.0, 0.5, -0.5, 2.0, 170.0, 1e30)
UNIT = (*EVERYWHERE, 0.5, 2.0, 1e-5, 0.999)
PLUS = tuple(p for p in POLES if not p < 0)
NUMBERED = tuple(p for p in EVERYWHERE if not np.isnan(p))  # of NaN jax and SciPy make 0
WHOLE = ("int32", "int8")


def real(d: Draw, shape: tuple[int, ...], low: float, high: float, edges: Any = EVERYWHERE, dtype: Any = None) -> Any:
    """Elements in [low, high): any, on a grid, or of any magnitude; or what happens at ``edges`` and beyond."""
    dtype = d.dtype((*FLOATS, "int32")) if dtype is None else dtype
    if dtype.kind == "i":
        return d.array(shape, dtype, low, max(high, low + 1), special=False)
    form = d.pick("any", "any", "decades", "edges" if edges else "any")
    if form == "any":
        return d.array(shape, dtype, low, high, special=False)
    if form == "edges":
        d.special = True
        with np.errstate(over="ignore"):
            return np.asarray(d.rng.choice(np.array(edges), shape)).astype(dtype)
    size = 10 ** d.rng.uniform(-4, 0, shape) * np.where(d.rng.random(shape) < 0.5, low, high)
    return np.asarray(np.where((size < low) | (size == 0), high / 2, size)).astype(dtype)


def of(
    *ranges: Any, whole: tuple[int, ...] = (), slopes_from: float = -np.inf, dtypes: tuple[str, ...] = (*FLOATS, *WHOLE)
) -> Build:
    """Arguments that broadcast, one for each (low, high, edges); those at ``whole`` are integers, others of ``dtypes``.

    Derivatives are left out where an element is below ``slopes_from``: jax's are wrong there.
    """

    def build(d: Draw, name: str) -> Call:
        shape, dtype = d.shape(), d.dtype(FLOATS if whole else dtypes)
        args = []
        for i, (low, high, edges) in enumerate(ranges):
            if i in whole:
                args.append(d.array(d.partner(shape), d.dtype(("int32",)), low, high, special=False))
            else:
                kind = dtype if d.flag() else d.dtype([n for n in dtypes if n in FLOATS])
                args.append(real(d, d.partner(shape) if i else shape, low, high, edges, kind))
        if len(args) > 1 and d.chance(8):  # a Python number among arrays
            args[-1] = float(np.clip(args[-1].ravel()[0], -9, 9)) if args[-1].size else 1.5
        elif len(args) == 1 and d.chance(12):
            args[0] = float(real(d, (), *ranges[0][:2], (), np.dtype(np.float32)))
        with np.errstate(invalid="ignore"):
            d.special |= bool(np.any(np.asarray(args[0]) < slopes_from))
        return d.call(name, *args)

    return build


def same(*ranges: Any) -> Build:
    """The same for lax, whose operands have one shape and dtype."""

    def build(d: Draw, name: str) -> Call:
        shape, dtype = d.shape(), d.dtype(FLOATS)
        return d.call(name, *(real(d, shape, *r, dtype) for r in ranges))

    return build


def special(names: str, build: Build, ulps: float, size: str = "value", oracle: Any = None, **fields: Any) -> None:
    """Specs in scipy.special, with SciPy's functions of the same names."""
    for name in names.split():
        fields["oracle"] = oracle or getattr(exact, name)
        spec(f"scipy.special.{name}", build, ulps=ulps, size=size, **fields)


LINE = (-6.0, 6.0, EVERYWHERE)
WIDE = (-30.0, 30.0, (*EVERYWHERE, 80.0, -80.0, 700.0, -700.0))
RIGHT = (0.05, 20.0, PLUS)


def _factorial(n: Any) -> Any:
    return np.where(n < 0, 0, exact.gamma(n + 1))


def _loggamma(x: Any) -> Any:
    return np.where(x < 0, np.nan, exact.gammaln(x))


def _spence(d: Draw, name: str) -> Call:
    """jax refuses 16-bit floats, makes Python numbers strong, and its derivative is NaN from 1.5 to 2."""
    return d.call(name, real(d, d.shape(), 0, 20, EVERYWHERE, d.dtype(("float32",))))


def _polygamma(n: Any, x: Any) -> Any:
    return exact.polygamma(np.asarray(n).astype(int), x)


def _expn(n: Any, x: Any) -> Any:
    return exact.expn(np.asarray(n).astype(int), x)


special("erf erfc", of(LINE), 16)
special("erfinv", of((-1, 1, UNIT)), 16)
special("expit", of(WIDE), 16)
special("logit", of((0, 1, UNIT)), 16, "one")
special("gammaln", of((-20, 60, POLES), slopes_from=-1), 64, "one")
special("digamma", of((-20, 60, POLES), slopes_from=-1), 64, "one", exact.psi)
special("gamma", of((-20, 30, POLES), slopes_from=-1), 64, "exp")
special("gammasgn", of((-9, 9, POLES)), 0)
special("loggamma", of((-2, 60, POLES)), 64, "one", _loggamma)
special("factorial", of((-2, 30, POLES), slopes_from=-1), 64, "exp", _factorial)
special("i0 i0e i1 i1e", of(WIDE), 16)
special("erfcx", of((-5, 30, EVERYWHERE)), 32)
special("dawsn", of((-12, 12, EVERYWHERE)), 64, slope_ulps=256)  # 1 - 2 x D(x) cancels
special("exp1", of((0, 40, PLUS)), 64)
special("expi", of((-40, 38, EVERYWHERE)), 64, "one")
special("spence", _spence, 64, "one", derivatives=False)
special("sici", of((-30, 30, EVERYWHERE)), 64, "one")
special("fresnel", of((-9, 9, ())), 64, "one", slope_ulps=512)  # of an angle of pi / 2 x^2
special("ndtr", of((-9, 9, (*EVERYWHERE, 30.0, -30.0))), 16, "exp")
special("log_ndtr", of((-40, 9, EVERYWHERE)), 32)
special("ndtri", of((0, 1, UNIT)), 32, "one", slope_ulps=64)
special("entr", of((-1, 9, PLUS)), 16)

special("xlogy", of((-3, 3, EVERYWHERE), (0, 5, PLUS)), 16)
special("xlog1py", of((-3, 3, EVERYWHERE), (-1, 5, PLUS)), 16)
special("rel_entr kl_div", of((0, 5, EVERYWHERE), (0, 5, EVERYWHERE)), 64, "sum")
special("boxcox", of((0.05, 5, PLUS), (-3, 3, EVERYWHERE)), 32, "exp")
special("boxcox1p", of((-0.9, 5, PLUS), (-3, 3, EVERYWHERE)), 32, "exp")
special("betaln", of(RIGHT, RIGHT), 64, "one", slope_error=1e-7)
special("beta", of(RIGHT, RIGHT), 64, "exp", slope_error=1e-7)
special("poch", of((0.1, 12, PLUS), (0, 6, PLUS)), 256, "exp")
special("comb", of((0, 30, NUMBERED), (0, 9, NUMBERED)), 64, "exp")
special("zeta", of((1.05, 12, ()), RIGHT), 64)
special("polygamma", of((0, 5, ()), (0.05, 20, ()), whole=(0,)), 64, "one", _polygamma)
special("expn", of((0, 12, ()), (0, 40, PLUS), whole=(0,)), 64, "value", _expn)
# jax's of 16-bit floats is float32, which is not the dtype that its documentation says
special("owens_t", of((-4, 4, EVERYWHERE), (-4, 4, EVERYWHERE), dtypes=("float32", *WHOLE)), 32, "exp")
special("gammainc gammaincc", of((0.05, 30, PLUS), (0, 60, PLUS)), 96, "exp", slope_error=1e-6)
special("betainc", of((0.1, 20, PLUS), (0.1, 20, PLUS), (0, 0.95, UNIT)), 96, "exp", slope_error=1e-6)


def _multigammaln(d: Draw, name: str) -> Call:
    order = d.integer(1, 4)
    return d.call(name, real(d, d.shape(), order / 2 + 0.1, 20, ()), order)


def _bessel_jn(d: Draw, name: str) -> Call:
    """From 1 on: below jax has NaN."""
    return d.call(name, real(d, d.shape(0, 2), 1, 20, (), d.dtype(("float32",))), v=d.integer(0, 4))


def _jn(z: Any, v: int) -> Any:
    return np.stack([exact.jv(order, z) for order in range(v + 1)])


def _bernoulli(n: int) -> Any:
    """By Riemann's zeta (DLMF 25.6.2): SciPy's own and jax's lose digits."""
    k = np.arange(2, n + 1, 2)
    even = -2 * np.cos(np.pi * k / 2) * exact.gamma(k + 1.0) * exact.zeta(k.astype(float)) / (2 * np.pi) ** k
    out = np.zeros(n + 1)
    out[:2], out[2::2] = (1, -0.5), even
    return out


def _logsumexp(d: Draw, name: str) -> Call:
    call = reduction(FLOATS, -9, 9, empty=False, return_sign=(True,))(d, name)
    if d.flag():
        call.kwargs["b"] = d.array(call.args[0].shape, call.args[0].dtype, 0.25, 3, special=False)
    return call


special("multigammaln", _multigammaln, 64, "sum")
special("bessel_jn", _bessel_jn, 32, "one", _jn)
spec("scipy.special.logsumexp", _logsumexp, ulps=8)
spec(
    "scipy.special.softmax log_softmax",
    lambda d, n: d.call(n, d.array(d.filled(1), d.dtype(FLOATS), -9, 9), **d.options(axis=(-1, 0, None))),
    ulps=8,
)
spec("scipy.special.bernoulli", lambda d, n: d.call(n, d.integer(2, 40)), ulps=16, size="value", oracle=_bernoulli)

# --- lax --------------------------------------------------------------------------------------------------------------


def _grad_a(a: Any, x: Any) -> Any:
    """d/da of P(a, x) by differences of order 4 in steps that balance truncation and rounding: 1e-9 of 1."""
    difference = lambda h: (exact.gammainc(a + h, x) - exact.gammainc(a - h, x)) / (2 * h)  # noqa: E731
    return (4 * difference(1e-3 * a) - difference(2e-3 * a)) / 3


spec("lax.bessel_i0e", same(WIDE), ulps=16, size="value", oracle=exact.i0e)
spec("lax.bessel_i1e", same(WIDE), ulps=16, size="value", oracle=exact.i1e)
spec("lax.zeta", same((1.05, 12, ()), RIGHT), ulps=64, size="value", oracle=exact.zeta)
spec("lax.igamma", same((0.05, 30, PLUS), (0, 60, PLUS)), ulps=96, size="exp", oracle=exact.gammainc, slope_error=1e-6)
spec("lax.igammac", same((0.05, 30, PLUS), (0, 60, PLUS)), ulps=96, size="exp", oracle=exact.gammaincc,
     slope_error=1e-6)  # fmt: skip
spec("lax.betainc", same((0.1, 20, PLUS), (0.1, 20, PLUS), (0, 0.95, UNIT)), ulps=96, size="exp", oracle=exact.betainc,
     slope_error=1e-6)  # fmt: skip


def _polygamma_of_floats(d: Draw, name: str) -> Call:
    shape, dtype = d.shape(), d.dtype(FLOATS)
    order = d.rng.integers(0, 5, shape).astype(dtype)
    return d.call(name, np.asarray(order), real(d, shape, 0.05, 20, (), dtype))


def _bulk(d: Draw, name: str) -> Call:
    """Shapes a, and x where most of the gamma distribution is."""
    shape = d.shape()
    a = np.asarray(d.rng.uniform(0.5, 30, shape))
    x = np.asarray(a * d.rng.uniform(0.5, 1.5, shape))
    return d.call(name, a.astype(np.float32), x.astype(np.float32))


def _moved(a: Any, x: Any) -> Any:
    return -_grad_a(a, x) / scipy.stats.gamma.pdf(x, a)


# the derivative in m of the first is not that of jax, the others have theirs in forward mode only
spec("lax.polygamma", _polygamma_of_floats, ulps=64, size="one", oracle=_polygamma, derivatives=False)
spec("lax.igamma_grad_a", _bulk, ulps=96, size="one", oracle=_grad_a, derivatives=False)
spec("lax.random_gamma_grad", _bulk, ulps=1024, size="one", oracle=_moved, derivatives=False)
