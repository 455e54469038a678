"""jax.scipy.stats on anejax: the normal distribution."""

from anejax.scipy.stats import norm as norm
