"""Functions that were written for jax, as functions of anejax.

jax traces the function once for the types of its arguments, and every equation of the jaxpr that results becomes the
operation of the same meaning here. jax itself computes nothing after that.
"""

from anejax.interop.traced import from_jax as from_jax
from anejax.interop.trees import adopt_trees as adopt_trees
