"""jax.stages on anejax: the types of the steps from ``jit`` to a native program, for annotations and isinstance."""

from anejax.absent import getattr_of
from anejax.api.stages import ArgInfo as ArgInfo
from anejax.api.stages import Compiled as Compiled
from anejax.api.stages import Lowered as Lowered
from anejax.api.stages import Traced as Traced
from anejax.api.staging import Jitted as Wrapped

__all__ = [
    "ArgInfo", "Compiled", "Lowered", "Traced", "Wrapped"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
