"""jax.stages on anejax: what ``jit`` makes on the way to a native program, for annotations and isinstance."""

from anejax.api.staging import Compiled as Compiled
from anejax.api.staging import Jitted as Wrapped  # noqa: F401
from anejax.api.staging import Lowered as Lowered
