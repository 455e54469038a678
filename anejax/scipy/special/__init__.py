"""jax.scipy.special on anejax, most of it for real arguments. Names that are not here say so.

Everything runs inside programs, under ``vmap`` and in both modes of differentiation. Errors in eps of the dtype, of the
result or of 1 where the result passes through 0, compared with SciPy in float64 and float32 by tests/scipy:

* 16: error functions, wofz, the logistic function, Box and Cox, ``x log y``, owens_t, I_0 and I_1; ndtr, and as many
  more for every unit of -log of the result;
* 32: log_ndtr, ndtri, erfcx, spence, bessel_jn, and fresnel up to 12, beyond which x^2 loses its digits as in SciPy;
* 64: gammaln, digamma, betaln, factorial, zeta, polygamma, dawsn, exp1, expi, expn, sici, kl_div; comb, whose whole
  numbers are exact up to 0.01 / eps;
* 256: gamma and beta, which are exponentials of their logarithms; 512: poch;
* gammainc, gammaincc, betainc: 96, and as many more for every unit of -log of the result, however small. The values of
  betainc above x = 0.95 have their error in eps of 1.

Series, fractions and quadratures of 16-bit floats are computed in float32 and rounded once. Formulas
are those of the NIST Digital Library of Mathematical Functions (DLMF), cited where they are used.

Example:
    >>> from anejax.scipy import special
    >>> special.i0(0.0), special.gammainc(1.0, 0.0)
    (Array(1., dtype=float32, weak_type=True), Array(0., dtype=float32, weak_type=True))
"""

from anejax.absent import getattr_of
from anejax.scipy.special.bessel import bessel_jn as bessel_jn
from anejax.scipy.special.bessel import i0 as i0
from anejax.scipy.special.bessel import i0e as i0e
from anejax.scipy.special.bessel import i1 as i1
from anejax.scipy.special.bessel import i1e as i1e
from anejax.scipy.special.entropy import boxcox as boxcox
from anejax.scipy.special.entropy import boxcox1p as boxcox1p
from anejax.scipy.special.entropy import entr as entr
from anejax.scipy.special.entropy import kl_div as kl_div
from anejax.scipy.special.entropy import rel_entr as rel_entr
from anejax.scipy.special.entropy import xlog1py as xlog1py
from anejax.scipy.special.entropy import xlogy as xlogy
from anejax.scipy.special.error import dawsn as dawsn
from anejax.scipy.special.error import erf as erf
from anejax.scipy.special.error import erfc as erfc
from anejax.scipy.special.error import erfcx as erfcx
from anejax.scipy.special.error import erfinv as erfinv
from anejax.scipy.special.error import wofz as wofz
from anejax.scipy.special.gammas import bernoulli as bernoulli
from anejax.scipy.special.gammas import beta as beta
from anejax.scipy.special.gammas import betainc as betainc
from anejax.scipy.special.gammas import betaln as betaln
from anejax.scipy.special.gammas import comb as comb
from anejax.scipy.special.gammas import digamma as digamma
from anejax.scipy.special.gammas import factorial as factorial
from anejax.scipy.special.gammas import gamma as gamma
from anejax.scipy.special.gammas import gammainc as gammainc
from anejax.scipy.special.gammas import gammaincc as gammaincc
from anejax.scipy.special.gammas import gammaln as gammaln
from anejax.scipy.special.gammas import gammasgn as gammasgn
from anejax.scipy.special.gammas import loggamma as loggamma
from anejax.scipy.special.gammas import multigammaln as multigammaln
from anejax.scipy.special.gammas import poch as poch
from anejax.scipy.special.gammas import polygamma as polygamma
from anejax.scipy.special.gammas import zeta as zeta
from anejax.scipy.special.integrals import exp1 as exp1
from anejax.scipy.special.integrals import expi as expi
from anejax.scipy.special.integrals import expn as expn
from anejax.scipy.special.integrals import fresnel as fresnel
from anejax.scipy.special.integrals import sici as sici
from anejax.scipy.special.integrals import spence as spence
from anejax.scipy.special.logistic import expit as expit
from anejax.scipy.special.logistic import log_softmax as log_softmax
from anejax.scipy.special.logistic import logit as logit
from anejax.scipy.special.logistic import logsumexp as logsumexp
from anejax.scipy.special.logistic import softmax as softmax
from anejax.scipy.special.normal import log_ndtr as log_ndtr
from anejax.scipy.special.normal import ndtr as ndtr
from anejax.scipy.special.normal import ndtri as ndtri
from anejax.scipy.special.normal import owens_t as owens_t

__all__ = [
    "bernoulli", "bessel_jn", "beta", "betainc", "betaln", "boxcox", "boxcox1p", "comb", "dawsn", "digamma", "entr",
    "erf", "erfc", "erfcx", "erfinv", "exp1", "expi", "expit", "expn", "factorial", "fresnel", "gamma", "gammainc",
    "gammaincc", "gammaln", "gammasgn", "i0", "i0e", "i1", "i1e", "kl_div", "log_ndtr", "log_softmax", "loggamma",
    "logit", "logsumexp", "multigammaln", "ndtr", "ndtri", "owens_t", "poch", "polygamma", "rel_entr", "sici",
    "softmax", "spence", "wofz", "xlog1py", "xlogy", "zeta"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
