"""Arrays, types, primitives, traces and Graphs, and the public names of jax.core."""

from anejax.core.aval import Aval as ShapedArray
from anejax.core.trace import Trace as Trace
from anejax.core.trace import Tracer as Tracer

AbstractValue = ShapedArray
