"""jax.scipy on anejax: the parts of SciPy that run inside programs and are differentiable."""

from typing import TYPE_CHECKING

from anejax.absent import getattr_of

__all__ = [
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial",
    "special", "stats"
]  # fmt: skip

if TYPE_CHECKING:
    from anejax.scipy import cluster as cluster
    from anejax.scipy import fft as fft
    from anejax.scipy import integrate as integrate
    from anejax.scipy import interpolate as interpolate
    from anejax.scipy import linalg as linalg
    from anejax.scipy import ndimage as ndimage
    from anejax.scipy import optimize as optimize
    from anejax.scipy import signal as signal
    from anejax.scipy import sparse as sparse
    from anejax.scipy import spatial as spatial
    from anejax.scipy import special as special
    from anejax.scipy import stats as stats

_LAZY = (
    "cluster", "fft", "integrate", "interpolate", "linalg", "ndimage", "optimize", "signal", "sparse", "spatial",
    "special", "stats",
)  # fmt: skip

__getattr__ = getattr_of(__name__, {name: name for name in _LAZY})


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
