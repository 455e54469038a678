"""Random numbers with explicit keys, as ``jax.random`` has them: the same key gives the same numbers.

Example:
    >>> from anejax import random
    >>> key = random.key(0)
    >>> key, subkey = random.split(key)
    >>> random.normal(subkey, (3,)).shape
    (3,)
"""

from anejax.absent import getattr_of
from anejax.random.counts import binomial as binomial
from anejax.random.counts import multinomial as multinomial
from anejax.random.counts import poisson as poisson
from anejax.random.distributions import cauchy as cauchy
from anejax.random.distributions import double_sided_maxwell as double_sided_maxwell
from anejax.random.distributions import exponential as exponential
from anejax.random.distributions import geometric as geometric
from anejax.random.distributions import laplace as laplace
from anejax.random.distributions import logistic as logistic
from anejax.random.distributions import lognormal as lognormal
from anejax.random.distributions import maxwell as maxwell
from anejax.random.distributions import normal as normal
from anejax.random.distributions import pareto as pareto
from anejax.random.distributions import rayleigh as rayleigh
from anejax.random.distributions import triangular as triangular
from anejax.random.distributions import truncated_normal as truncated_normal
from anejax.random.distributions import wald as wald
from anejax.random.distributions import weibull_min as weibull_min
from anejax.random.gamma import ball as ball
from anejax.random.gamma import beta as beta
from anejax.random.gamma import chisquare as chisquare
from anejax.random.gamma import dirichlet as dirichlet
from anejax.random.gamma import f as f
from anejax.random.gamma import gamma as gamma
from anejax.random.gamma import generalized_normal as generalized_normal
from anejax.random.gamma import loggamma as loggamma
from anejax.random.gamma import t as t
from anejax.random.keys import KeyArray as KeyArray
from anejax.random.keys import PRNGKey as PRNGKey
from anejax.random.keys import bits as bits
from anejax.random.keys import clone as clone
from anejax.random.keys import fold_in as fold_in
from anejax.random.keys import key as key
from anejax.random.keys import key_data as key_data
from anejax.random.keys import key_impl as key_impl
from anejax.random.keys import split as split
from anejax.random.keys import wrap_key_data as wrap_key_data
from anejax.random.matrices import multivariate_normal as multivariate_normal
from anejax.random.matrices import orthogonal as orthogonal
from anejax.random.samplers import bernoulli as bernoulli
from anejax.random.samplers import categorical as categorical
from anejax.random.samplers import choice as choice
from anejax.random.samplers import gumbel as gumbel
from anejax.random.samplers import permutation as permutation
from anejax.random.samplers import rademacher as rademacher
from anejax.random.samplers import randint as randint
from anejax.random.samplers import uniform as uniform

__all__ = [
    "KeyArray", "PRNGKey", "ball", "bernoulli", "beta", "binomial", "bits", "categorical", "cauchy", "chisquare",
    "choice", "clone", "dirichlet", "double_sided_maxwell", "exponential", "f", "fold_in", "gamma",
    "generalized_normal", "geometric", "gumbel", "key", "key_data", "key_impl", "laplace", "loggamma", "logistic",
    "lognormal", "maxwell", "multinomial", "multivariate_normal", "normal", "orthogonal", "pareto", "permutation",
    "poisson", "rademacher", "randint", "rayleigh", "split", "t", "triangular", "truncated_normal", "uniform",
    "wald", "weibull_min", "wrap_key_data"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
