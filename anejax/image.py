"""jax.image on anejax: resamples images, or arrays of any rank, at other sizes, scales and positions.

Along each axis, a new element is a sum of old ones, weighted by a kernel of their distance. So each axis costs one
matrix product. The centres of pixels are at half integers.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import anejax.numpy as jnp
from anejax.absent import getattr_of
from anejax.api.scopes import ensure_compile_time_eval
from anejax.core.array import Array
from anejax.core.aval import checked_shape
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, promote_inexact
from anejax.ops.shape import check_axes

__all__ = [
    "ResizeMethod", "resize", "scale_and_translate"
]  # fmt: skip

__getattr__ = getattr_of(__name__)


class ResizeMethod(enum.Enum):
    """The kernel by which new elements are computed from old ones.

    NEAREST: the nearest one. LINEAR: a triangle of radius 1. LANCZOS3, LANCZOS5: windowed sines of radius 3 and 5.
    CUBIC: cubic convolution with a = -0.5 (Keys 1981, "Cubic convolution interpolation for digital image processing").
    CUBIC_PYTORCH: the same where it is antialiased, else with a = -0.75 and edges that go on, as PyTorch and OpenCV
    have it. AREA: the mean of the elements that the new element covers.
    """

    NEAREST = 0
    LINEAR = 1
    LANCZOS3 = 2
    LANCZOS5 = 3
    CUBIC = 4
    CUBIC_PYTORCH = 5
    AREA = 6

    @staticmethod
    def from_string(s: str) -> ResizeMethod:
        """The method of a name; raises ValueError for one that there is not."""
        if s not in _NAMES:
            raise ValueError(f"[resize] expected the method to be one of {', '.join(_NAMES)}, got {s!r}.")
        return _NAMES[s]


_NAMES = {
    "nearest": ResizeMethod.NEAREST,
    **dict.fromkeys(("linear", "bilinear", "trilinear", "triangle"), ResizeMethod.LINEAR),
    "lanczos3": ResizeMethod.LANCZOS3,
    "lanczos5": ResizeMethod.LANCZOS5,
    **dict.fromkeys(("cubic", "bicubic", "tricubic"), ResizeMethod.CUBIC),
    **dict.fromkeys(("cubic-pytorch", "bicubic-pytorch"), ResizeMethod.CUBIC_PYTORCH),
    "area": ResizeMethod.AREA,
}


# --- kernels: the weight of an element at distance x >= 0 -------------------------------------------------------------


def _triangle(x: Any) -> Any:
    return jnp.maximum(1 - x, 0)


def _lanczos(radius: int) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        """sinc(x) sinc(x / radius), which is 1 at 0."""
        away = x > 1e-3
        safe = jnp.where(away, x, 1) * np.pi
        waves = radius * jnp.sin(safe) * jnp.sin(safe / radius) / (safe * safe)
        return jnp.where(x > radius, 0, jnp.where(away, waves, 1))

    return kernel


def _cubic(a: float) -> Callable[[Any], Any]:
    def kernel(x: Any) -> Any:
        near = ((a + 2) * x - (a + 3)) * x * x + 1
        far = a * (((x - 5) * x + 8) * x - 4)
        return jnp.where(x >= 2, 0, jnp.where(x >= 1, far, near))

    return kernel


class _Sampling(NamedTuple):
    """``kernel`` (None: of areas), and whether the elements at the edges stand for all beyond, up to ``radius``."""

    kernel: Callable[[Any], Any] | None
    radius: int = 0
    edges: bool = False


_SAMPLING = {
    ResizeMethod.LINEAR: _Sampling(_triangle),
    ResizeMethod.LANCZOS3: _Sampling(_lanczos(3)),
    ResizeMethod.LANCZOS5: _Sampling(_lanczos(5)),
    ResizeMethod.CUBIC: _Sampling(_cubic(-0.5)),
    ResizeMethod.CUBIC_PYTORCH: _Sampling(_cubic(-0.75), 2, True),
    ResizeMethod.AREA: _Sampling(None),
}


def _sampling(method: ResizeMethod, antialias: bool) -> _Sampling:
    smooth = antialias and method is ResizeMethod.CUBIC_PYTORCH
    return _SAMPLING[ResizeMethod.CUBIC if smooth else method]


# --- weights ----------------------------------------------------------------------------------------------------------


def _weights(m: int, n: int, scale: Any, translation: Any, sampling: _Sampling, antialias: bool) -> Any:
    """The matrix [m, n] that makes ``n`` elements of ``m``: element j is at (j + 0.5 - translation) / scale."""
    dtype = jnp.result_type(scale, translation)
    step = 1.0 / scale
    width = jnp.maximum(step, 1.0) if antialias else 1.0  # wider when there are fewer elements than before
    centres = (jnp.arange(n, dtype=dtype) + 0.5) * step - translation * step - 0.5
    beyond = sampling.radius if sampling.edges else 0
    places = jnp.arange(-beyond, m + beyond, dtype=dtype)
    if sampling.kernel is None:
        weights = _overlaps(m, n, step, translation, dtype)
    else:
        weights = sampling.kernel(jnp.abs(centres - places[:, None]) / width)
    if sampling.edges:
        first, last = (jnp.sum(w, 0, keepdims=True) for w in (weights[: beyond + 1], weights[m + beyond - 1 :]))
        inner = weights[beyond + 1 : m + beyond - 1]
        weights = first + last - weights[beyond : beyond + 1] if m == 1 else jnp.concatenate([first, inner, last])
        return _normalized(weights)
    inside = (centres >= -0.5) & (centres <= m - 0.5)
    return jnp.where(inside, _normalized(weights), 0)


def _normalized(weights: Any) -> Any:
    """Columns that add up to 1, since some of a kernel may lie outside; 0 where next to nothing is left."""
    total = jnp.sum(weights, 0, keepdims=True)
    enough = jnp.abs(total) > 1000 * float(np.finfo(np.float32).eps)
    return jnp.where(enough, weights / jnp.where(enough, total, 1), 0)


def _overlaps(m: int, n: int, step: Any, translation: Any, dtype: Any) -> Any:
    """The part of each new element that each old element covers."""
    left = jnp.arange(n, dtype=dtype) * step - translation * step
    places = jnp.arange(m, dtype=dtype)[:, None]
    return jnp.maximum(jnp.minimum(left + step, places + 1) - jnp.maximum(left, places), 0)


def _along(x: Any, axis: int, weights: Any, precision: Any) -> Any:
    product = jnp.tensordot(x, weights.astype(x.dtype), ((axis,), (0,)), precision=precision)
    return jnp.moveaxis(product, -1, axis)


# --- faces ------------------------------------------------------------------------------------------------------------


def _checked(op: str, image: Any, shape: Sequence[int], method: Any) -> tuple[Any, tuple[int, ...], ResizeMethod]:
    x, target = as_array(op, image), checked_shape(shape, op)
    if len(target) != x.ndim:
        raise ShapeError(f"[{op}] expected a shape of as many axes as {x.aval}, got {target}.")
    found = ResizeMethod.from_string(method) if isinstance(method, str) else method
    if not isinstance(found, ResizeMethod):
        raise TypeError(f"[{op}] expected the method to be a ResizeMethod or its name, got {method!r}.")
    return x, target, found


def resize(
    image: Any, shape: Sequence[int], method: str | ResizeMethod, antialias: bool = True, precision: Any = None
) -> Array:
    """``image`` at another size; axes whose length stays are left alone, so batches and channels are.

    Args:
        image: an array of any rank. Integers and bools become float32, unless the method is "nearest".
        shape: the new length of every axis.
        method: a ResizeMethod or its name: "nearest", "linear" ("bilinear", "trilinear", "triangle"), "cubic"
            ("bicubic", "tricubic"), "cubic-pytorch" ("bicubic-pytorch"), "lanczos3", "lanczos5", "area".
        antialias: whether kernels are widened where an axis gets shorter, so that all old elements count.
        precision: accepted for compatibility.

    A nearest sample whose place lies exactly between two elements is the one to the right.

    Raises:
        ValueError: the method is not known, ``shape`` has another rank, or an axis without elements should get some.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import image
        >>> image.resize(jnp.array([1.0, 3.0]), (4,), "linear")
        Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    x, target, how = _checked("resize", image, shape, method)
    changed = [d for d in range(x.ndim) if x.shape[d] != target[d]]
    if any(x.shape[d] == 0 for d in changed):
        raise ShapeError(f"[resize] expected elements along the axes that change, got {x.aval} for {target}.")
    if how is ResizeMethod.NEAREST:
        for d in changed:
            m, n = x.shape[d], target[d]
            x = jnp.take(x, (2 * np.arange(n) + 1) * m // max(2 * n, 1), axis=d)
        return x
    (x,) = promote_inexact("resize", x)
    sampling = _sampling(how, antialias)
    for d in sorted(changed, key=lambda d: target[d] / x.shape[d]):  # shorter axes first: less to do for the others
        with ensure_compile_time_eval():  # they follow from the lengths alone
            weights = _weights(x.shape[d], target[d], target[d] / x.shape[d] or 1.0, 0.0, sampling, antialias)
        x = _along(x, d, weights, precision)
    return x


def scale_and_translate(
    image: Any,
    shape: Sequence[int],
    spatial_dims: Sequence[int],
    scale: Any,
    translation: Any,
    method: str | ResizeMethod,
    antialias: bool = True,
    precision: Any = None,
) -> Array:
    """Scales and moves ``image`` along ``spatial_dims``: position x moves to ``scale`` x + ``translation``.

    Args:
        image: an array of any rank; integers and bools become float32.
        shape: the length of every axis of the result.
        spatial_dims: K axes, whose elements' centres lie at half integers.
        scale, translation: K numbers each; the result has derivatives in them.
        method, antialias, precision: as of ``resize``; not "nearest".

    Elements that come from outside of the image are 0.

    Raises:
        ValueError: the method is "nearest" or not known, or lengths do not fit together.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import image
        >>> image.scale_and_translate(jnp.array([1.0, 2.0, 3.0]), (3,), (0,), jnp.ones(1), jnp.ones(1), "linear")
        Array([0., 1., 2.], dtype=float32)
    """
    x, target, how = _checked("scale_and_translate", image, shape, method)
    if how is ResizeMethod.NEAREST:
        raise ValueError("[scale_and_translate] expected a method with derivatives, got 'nearest'. Use 'linear'.")
    (x,) = promote_inexact("scale_and_translate", x)
    scales, moves = (
        as_array("scale_and_translate", v) for v in promote_inexact("scale_and_translate", scale, translation)
    )
    axes = check_axes("scale_and_translate", spatial_dims, x.ndim)
    if scales.shape != (len(axes),) or moves.shape != (len(axes),):
        raise ShapeError(
            f"[scale_and_translate] expected a scale and a translation for each of the axes {axes}, got {scales.aval}"
            f" and {moves.aval}."
        )
    unchanged = [d for d in range(x.ndim) if d not in axes and x.shape[d] != target[d]]
    if unchanged:
        raise ShapeError(
            f"[scale_and_translate] expected the axes {unchanged} to keep their length, got {target} for {x.aval}."
        )
    sampling = _sampling(how, antialias)
    for i, d in enumerate(axes):
        x = _along(x, d, _weights(x.shape[d], target[d], scales[i], moves[i], sampling, antialias), precision)
    return x
