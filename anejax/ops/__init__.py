"""The primitives, one module for each family; and jax.ops, the reductions over segments."""

from anejax.ops.segments import segment_max as segment_max
from anejax.ops.segments import segment_min as segment_min
from anejax.ops.segments import segment_prod as segment_prod
from anejax.ops.segments import segment_sum as segment_sum

__all__ = [
    "segment_max", "segment_min", "segment_prod", "segment_sum"
]  # fmt: skip
