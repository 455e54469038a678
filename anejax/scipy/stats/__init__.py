"""jax.scipy.stats on anejax: the laws, each a module, kernel densities, ranks, modes and standard errors."""

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

__getattr__ = getattr_of(__name__)
