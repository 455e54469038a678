"""vmap: a function of one example becomes a function of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anejax import tree
from anejax.api.flat import FlatFunction, argument_paths, check_leaves, name_of
from anejax.core.trace import aval_of
from anejax.errors import ShapeError, TreeError
from anejax.ops.families import batch_to
from anejax.transforms.vmap import batch_flat


def vmap(
    fun: Callable[..., Any],
    in_axes: Any = 0,
    out_axes: Any = 0,
    axis_name: Any = None,
    axis_size: int | None = None,
    spmd_axis_name: Any = None,
) -> Callable[..., Any]:
    """``fun`` mapped over an axis of its arguments.

    Args:
        fun: a function of pytrees.
        in_axes: an int, None, or a tuple/list with one entry per positional argument, each a tree prefix of ints and
            None; the axis of each leaf to map over, None for leaves that are the same for all. Keyword arguments are
            mapped over axis 0.
        out_axes: a tree prefix of the output: where the mapped axis goes. None is allowed for outputs that do not
            depend on mapped values.
        axis_name: a name for the axis, for ``lax.psum`` and the other collectives.
        axis_size: the length of the axis, where no argument shows it.
        spmd_axis_name: accepted for compatibility: there is one device.

    Raises:
        ShapeError: mapped axes have different lengths, or an axis is out of range.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.vmap(jnp.dot, in_axes=(0, None))(jnp.ones((2, 3)), jnp.ones(3))
        Array([3., 3.], dtype=float32)
    """
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not (in_axes is None or isinstance(in_axes, (int, tuple))):
        raise TypeError(f"[vmap] expected in_axes as an int, None or a tuple, got {type(in_axes).__name__}.")

    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if isinstance(in_axes, tuple) and len(in_axes) != len(args):
            raise ValueError(
                f"[vmap] expected one entry of in_axes per positional argument, got {len(in_axes)} for"
                f" {len(args)} arguments of {name_of(fun)}."
            )
        leaves, treedef = tree.flatten((args, kwargs))
        avals = check_leaves(name_of(fun), "an argument", leaves, treedef, fun)
        dims = _input_dims(in_axes, args, kwargs)
        dims = [_normal(d, a, fun, treedef, i) for i, (d, a) in enumerate(zip(dims, avals))]
        size = _axis_size(axis_size, avals, dims, fun, treedef)
        flat = FlatFunction(fun, treedef)
        outs, out_dims = batch_flat(flat, leaves, dims, size, axis_name)
        targets = _output_dims(out_axes, flat.out_tree)
        placed = [_place(o, d, t, size) for o, d, t in zip(outs, out_dims, targets)]
        return tree.unflatten(flat.out_tree, placed)

    return mapped


def _is_none(x: Any) -> bool:
    return x is None


def _input_dims(in_axes: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | None]:
    prefix = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    try:
        dims = tree.broadcast_prefix(prefix, args, is_leaf=_is_none)
    except TreeError as err:
        raise TreeError(f"[vmap] in_axes must be a tree prefix of the arguments. {err}") from None
    return dims + [0] * tree.structure(kwargs).num_leaves


def _normal(dim: Any, aval: Any, fun: Callable[..., Any], treedef: tree.PyTreeDef, i: int) -> int | None:
    if dim is None:
        return None
    if not isinstance(dim, int):
        raise TypeError(f"[vmap] expected ints and None in in_axes, got {dim!r}.")
    if not -aval.ndim <= dim < aval.ndim:
        raise ShapeError(
            f"[vmap] in_axes maps axis {dim} of argument {argument_paths(fun, treedef)[i]}: {aval}, which has"
            f" {aval.ndim} axes. Use None for arguments that are not mapped."
        )
    return dim % aval.ndim


def _axis_size(given: int | None, avals: Any, dims: Any, fun: Callable[..., Any], treedef: tree.PyTreeDef) -> int:
    sizes = {i: a.shape[d] for i, (a, d) in enumerate(zip(avals, dims)) if d is not None}
    if not sizes and given is None:
        raise ValueError("[vmap] expected at least one mapped argument: every entry of in_axes is None.")
    if len(set(sizes.values()) | ({given} if given is not None else set())) > 1:
        paths = argument_paths(fun, treedef)
        listed = "; ".join(f"{paths[i]}: {avals[i]} maps axis {dims[i]} of length {n}" for i, n in sizes.items())
        raise ShapeError(
            f"[vmap] mapped axes must have one length{f' ({given})' if given is not None else ''}: {listed}."
        )
    return given if given is not None else next(iter(sizes.values()))


def _output_dims(out_axes: Any, out_tree: tree.PyTreeDef) -> list[int | None]:
    dummy = tree.unflatten(out_tree, [0] * out_tree.num_leaves)
    try:
        return tree.broadcast_prefix(out_axes, dummy, is_leaf=_is_none)
    except TreeError as err:
        raise TreeError(f"[vmap] out_axes must be a tree prefix of the output. {err}") from None


def _place(out: Any, dim: int | None, target: int | None, size: int) -> Any:
    if target is None:
        if dim is not None:
            raise ValueError("[vmap] out_axes is None for an output that depends on mapped values; give it an axis.")
        return out
    rank = aval_of(out).ndim + (dim is None)
    if not -rank <= target < rank:
        raise ShapeError(f"[vmap] out_axes {target} is out of range for an output with {rank} axes.")
    return batch_to(out, dim, size, target % rank)
