"""jax.scipy.stats on anejax: the laws, each a module, kernel densities, ranks, modes and standard errors.

Everything runs inside programs, under ``vmap`` and in both modes of differentiation. Errors in eps of the dtype, of the
result or of 1 where a logarithm passes through 0, and as many more for every unit of -log of a density or probability,
compared with SciPy in float64 by tests/generated and tests/scipy:

* 32: densities, probabilities and quantiles of laws without special functions; 64: logarithms of probabilities;
* those of ``scipy.special`` where a law's functions are of these: betainc, gammainc, ndtr, ndtri;
* for parameters in the millions still 128: they are taken by the distance from the mode, as by Loader (2000).

Outside of its support a law has the probability 0 and no slopes. NaN, as in SciPy, where scale is not positive, and of
shapes that are none. k need not be whole, but in poisson. Unlike jax's, ``multinomial`` takes rows of counts, quantiles
of 0 and 1 may be infinite, and ``vonmises`` takes kappa = 0.

Example:
    >>> from anejax.scipy import stats
    >>> stats.gamma.cdf(2.0, 1.0), stats.expon.logpdf(-1.0)
    (Array(0.86466473, dtype=float32, weak_type=True), Array(-inf, dtype=float32, weak_type=True))
"""

from anejax.absent import getattr_of
from anejax.scipy.stats import bernoulli as bernoulli
from anejax.scipy.stats import beta as beta
from anejax.scipy.stats import betabinom as betabinom
from anejax.scipy.stats import binom as binom
from anejax.scipy.stats import cauchy as cauchy
from anejax.scipy.stats import chi2 as chi2
from anejax.scipy.stats import dirichlet as dirichlet
from anejax.scipy.stats import expon as expon
from anejax.scipy.stats import gamma as gamma
from anejax.scipy.stats import gennorm as gennorm
from anejax.scipy.stats import geom as geom
from anejax.scipy.stats import gumbel_l as gumbel_l
from anejax.scipy.stats import gumbel_r as gumbel_r
from anejax.scipy.stats import laplace as laplace
from anejax.scipy.stats import logistic as logistic
from anejax.scipy.stats import multinomial as multinomial
from anejax.scipy.stats import multivariate_normal as multivariate_normal
from anejax.scipy.stats import nbinom as nbinom
from anejax.scipy.stats import norm as norm
from anejax.scipy.stats import pareto as pareto
from anejax.scipy.stats import poisson as poisson
from anejax.scipy.stats import t as t
from anejax.scipy.stats import truncnorm as truncnorm
from anejax.scipy.stats import uniform as uniform
from anejax.scipy.stats import vonmises as vonmises
from anejax.scipy.stats import wrapcauchy as wrapcauchy
from anejax.scipy.stats.kde import gaussian_kde as gaussian_kde
from anejax.scipy.stats.ranks import mode as mode
from anejax.scipy.stats.ranks import rankdata as rankdata
from anejax.scipy.stats.ranks import sem as sem

__all__ = [
    "bernoulli", "beta", "betabinom", "binom", "cauchy", "chi2", "dirichlet", "expon", "gamma", "gaussian_kde",
    "gennorm", "geom", "gumbel_l", "gumbel_r", "laplace", "logistic", "mode", "multinomial", "multivariate_normal",
    "nbinom", "norm", "pareto", "poisson", "rankdata", "sem", "t", "truncnorm", "uniform", "vonmises", "wrapcauchy"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
