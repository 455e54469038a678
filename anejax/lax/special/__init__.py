"""Special functions of jax.lax that are not primitives here, but built of series, fractions and quadratures."""

from anejax.lax.special.bessel import bessel_i0e as bessel_i0e
from anejax.lax.special.bessel import bessel_i1e as bessel_i1e
from anejax.lax.special.beta import betainc as betainc
from anejax.lax.special.gamma import igamma as igamma
from anejax.lax.special.gamma import igamma_grad_a as igamma_grad_a
from anejax.lax.special.gamma import igammac as igammac
from anejax.lax.special.gamma import random_gamma_grad as random_gamma_grad
from anejax.lax.special.zetas import polygamma as polygamma
from anejax.lax.special.zetas import zeta as zeta
