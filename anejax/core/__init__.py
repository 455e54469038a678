"""Arrays, types, primitives, traces and Graphs; and the names of jax.core that users' programs have."""

from anejax.core.aval import Aval as ShapedArray
from anejax.core.trace import Trace as Trace
from anejax.core.trace import Tracer as Tracer

AbstractValue = ShapedArray
