"""Turns functions that were written for jax into functions of anejax.

jax traces the function once for the types of its arguments, and each equation of the jaxpr becomes the equivalent
operation of anejax. jax computes nothing after that.
"""

from anejax.interop.traced import from_jax as from_jax
from anejax.interop.trees import adopt_trees as adopt_trees

__all__ = [
    "adopt_trees", "from_jax"
]  # fmt: skip
