"""Transformations by norms of parameters, of updates, or of single examples."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import dtypes, tree
from anejax.api.batching import vmap
from anejax.errors import ShapeError
from anejax.optim.base import (
    GradientTransformation,
    GradientTransformationExtraArgs,
    global_norm,
    map_leaves,
    need_params,
    no_state,
)
from anejax.tree import PyTree


def safe_norm(x: Any, min_norm: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of ``x`` (as in numpy.linalg.norm), at least ``min_norm``; its derivative where it is less is 0."""
    norm = jnp.linalg.norm(x, ord=ord, axis=axis, keepdims=True)
    x = jnp.where(norm <= min_norm, jnp.ones_like(x), x)
    norm = norm if keepdims else jnp.squeeze(norm, axis)
    return jnp.where(norm <= min_norm, min_norm, jnp.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims))


def safe_root_mean_squares(x: Any, min_rms: Any) -> Any:
    """The root mean square of ``x``, at least ``min_rms``; its derivative where it is less is 0."""

    def rms(x: Any) -> Any:
        return jnp.sqrt(jnp.mean(jnp.square(jnp.abs(x))))

    small = rms(x) <= min_rms
    return jnp.where(small, min_rms, rms(jnp.where(small, jnp.ones_like(x), x)))


def _scale_by_parameter(op: str, size: Any, least: Any) -> GradientTransformation:
    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params(op, params)
        return map_leaves(lambda u, p: u * size(p, least), updates, params), state

    return GradientTransformation(no_state, update)


def scale_by_param_block_norm(min_scale: Any = 1e-3) -> GradientTransformation:
    """Multiplies each array by the norm of its parameter, or by ``min_scale`` if that is larger."""
    return _scale_by_parameter("scale_by_param_block_norm", safe_norm, min_scale)


def scale_by_param_block_rms(min_scale: Any = 1e-3) -> GradientTransformation:
    """Multiplies each array by the root mean square of its parameter, or by ``min_scale`` if that is larger."""
    return _scale_by_parameter("scale_by_param_block_rms", safe_root_mean_squares, min_scale)


def normalize_by_update_norm(scale_factor: Any = 1.0, eps: Any = 1e-6) -> GradientTransformation:
    """Divides all updates by their global norm, so that it becomes ``scale_factor``."""

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        norm = (global_norm(updates) + eps) / scale_factor
        return map_leaves(lambda g: g / norm, updates), state

    return GradientTransformation(no_state, update)


def scale_by_polyak(
    f_min: Any = 0.0, max_learning_rate: Any = 1.0, eps: Any = 0.0, variant: str = "sps"
) -> GradientTransformationExtraArgs:
    """Polyak's step: the loss above ``f_min`` over the squared norm of the gradient (Loizou et al., 2021).

    ``update`` takes the loss by name: ``update(grads, state, params, value=loss)``. ``variant="sps+"`` counts a loss
    below ``f_min`` as ``f_min``.

    Raises:
        ValueError: ``variant`` is neither "sps" nor "sps+".
    """
    if variant not in ("sps", "sps+"):
        raise ValueError(f"[scale_by_polyak] expected variant sps or sps+, got {variant!r}.")

    def update(updates: PyTree, state: PyTree, params: PyTree = None, *, value: Any, **extra_args: Any) -> PyTree:
        square = jnp.square(global_norm(updates))
        gap = jnp.asarray(value - f_min).astype(square.dtype)
        gap = jnp.maximum(gap, 0) if variant == "sps+" else gap
        flat = square + eps <= dtypes.finfo(jnp.float32).eps
        size = jnp.where(flat, 0.0, jnp.minimum(gap / (square + eps), max_learning_rate))
        return map_leaves(lambda g: size * g, updates), state

    return GradientTransformationExtraArgs(no_state, update)


# --- clipping ---------------------------------------------------------------------------------------------------


def unitwise_norm(x: Any, axis: Any = None) -> Any:
    """The norm over the inputs of each unit, in the shape of ``x``.

    ``axis`` has the axes of a unit's inputs; without it they are all axes of vectors, the first of 2 or 3 axes, and all
    but the last of 4 or 5.

    Raises:
        ShapeError: ``x`` has more axes and there is no ``axis``.
    """
    x = jnp.asarray(x)
    if axis is None:
        if sum(n != 1 for n in x.shape) <= 1:
            axis = tuple(range(x.ndim))
        elif x.ndim in (2, 3):
            axis = 0
        elif x.ndim in (4, 5):
            axis = tuple(range(x.ndim - 1))
        else:
            raise ShapeError(f"[unitwise_norm] expected arrays of 1 to 5 axes, or axis, got {x.aval}.")
    return jnp.broadcast_to(jnp.sqrt(jnp.sum(jnp.square(x), axis, keepdims=True)), x.shape)


def unitwise_clip(g_norm: Any, max_norm: Any, grad: Any, div_eps: Any = 1e-6) -> Any:
    """``grad`` where ``g_norm`` is below ``max_norm``, and scaled down to that norm elsewhere: arrays of one shape."""
    return jnp.where(g_norm < max_norm, grad, grad * (max_norm / jnp.maximum(g_norm, div_eps)))


def adaptive_grad_clip(clipping: Any, eps: Any = 1e-3, axis: Any = None) -> GradientTransformation:
    """Scales the gradient of a unit down to ``clipping`` times the norm of its weights (Brock et al., 2021).

    The norm of weights counts as ``eps`` at least; ``axis`` is that of ``unitwise_norm``.
    """

    def clipped(g: Any, p: Any) -> Any:
        return unitwise_clip(unitwise_norm(g, axis), clipping * jnp.maximum(unitwise_norm(p, axis), eps), g)

    def update(updates: PyTree, state: PyTree, params: PyTree = None) -> PyTree:
        need_params("adaptive_grad_clip", params)
        return map_leaves(lambda g, p: clipped(jnp.asarray(g), jnp.asarray(p)), updates, params), state

    return GradientTransformation(no_state, update)


def per_example_global_norm_clip(grads: PyTree, l2_norm_clip: Any) -> tuple[Any, Any]:
    """(sum over examples of their gradients, each clipped to a global norm; the number of examples that were clipped).

    The first axis of every array in ``grads`` is that of the examples, as ``vmap(grad(loss))`` gives it.
    """
    leaves = tree.leaves(grads)
    if any(g.ndim < 1 or g.shape[0] != leaves[0].shape[0] for g in leaves):
        raise ShapeError("[per_example_global_norm_clip] expected arrays whose first axis is that of the examples.")
    norms = vmap(global_norm)(grads)
    factors = jnp.nan_to_num(jnp.minimum(l2_norm_clip / norms, 1.0), nan=1.0)
    return tree.map(lambda g: jnp.tensordot(factors, g, axes=1), grads), jnp.sum(factors < 1.0)


def per_example_layer_norm_clip(grads: PyTree, global_l2_norm_clip: Any, uniform: bool = True) -> tuple[Any, Any]:
    """``per_example_global_norm_clip`` of each array by itself: (tree of sums, tree of numbers of clipped examples).

    ``uniform`` gives all arrays the same part of the norm, otherwise they have it by their sizes.
    """
    leaves, structure = tree.flatten(grads)
    sizes = [1 if uniform else g[0].size for g in leaves]
    limits = [global_l2_norm_clip * (size / sum(sizes)) ** 0.5 for size in sizes]
    results = [per_example_global_norm_clip(g, limit) for g, limit in zip(leaves, limits)]
    return tree.unflatten(structure, [r[0] for r in results]), tree.unflatten(structure, [r[1] for r in results])
