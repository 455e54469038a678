"""jax.scipy.optimize on anejax: minima of smooth functions."""

from anejax.absent import getattr_of
from anejax.scipy.optimize.minimizing import OptimizeResults, minimize

__all__ = [
    "OptimizeResults", "minimize"
]  # fmt: skip

__all__ = ["OptimizeResults", "minimize"]

__getattr__ = getattr_of(__name__)
