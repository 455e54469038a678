"""jax.scipy.stats on anejax: the normal distribution."""

from anejax.absent import getattr_of
from anejax.scipy.stats import norm as norm

__getattr__ = getattr_of(__name__)
