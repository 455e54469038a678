"""shard_map and pmap: every process runs the same function on its own part of the data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from anejax import dtypes, tree
from anejax.api.devices import process_count
from anejax.api.flat import name_of
from anejax.api.meshes import Mesh, PartitionSpec, check_divides
from anejax.api.staging import jit
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.ops import complex as complex_parts
from anejax.ops import processes
from anejax.ops.families import move_axis
from anejax.ops.index import index_in_dim
from anejax.ops.shape import expand_dims
from anejax.transforms.collectives import over_processes


def shard_map(
    f: Callable[..., Any] | None = None,
    /,
    *,
    mesh: Mesh | None = None,
    in_specs: Any,
    out_specs: Any,
    axis_names: Any = frozenset(),
    check_vma: bool = True,
) -> Callable[..., Any]:
    """``f`` in every process, on its own part of the arguments.

    Arguments and results are whole in every process, and alike. ``f`` gets parts of the arguments, collectives such as
    ``lax.psum(x, "batch")`` reach the parts of the others, and the divided parts of its results are joined.

    Args:
        f: a function of pytrees; without it, a decorator.
        mesh: the processes and the names of their axes.
        in_specs: a ``PartitionSpec`` for each argument, each a tree prefix: the axes that are divided.
        out_specs: the same for the results. A result that no spec divides must be equal in all processes, as sums are.
        axis_names: accepted for compatibility: all axes of the mesh.
        check_vma: with True, ``f`` may not take gradients, as these differ (see "Raises").

    Raises:
        ShapeError: an axis that the processes do not divide.
        RefusedError: a gradient inside of ``f`` unless ``check_vma`` is False. Then it is that of one process, as in
            jax, and the function sums it: ``lax.psum(grad(loss)(w, x), "batch")``. With ``check_vma=True`` jax itself
            sums gradients of what all processes have alike, which is not done here. Gradients of the mapped
            function, from outside, are right with either.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> from anejax.sharding import PartitionSpec as P
        >>> mesh = aj.make_mesh((aj.process_count(),), ("batch",))
        >>> total = aj.shard_map(lambda x: aj.lax.psum(x.sum(), "batch"), mesh=mesh, in_specs=P("batch"), out_specs=P())
        >>> total(jnp.arange(8.0))
        Array(28., dtype=float32)
    """
    if f is None:
        return functools.partial(
            shard_map, mesh=mesh, in_specs=in_specs, out_specs=out_specs, axis_names=axis_names, check_vma=check_vma
        )  # type: ignore[return-value]
    if mesh is None:
        raise ValueError(
            "[shard_map] expected mesh=, for example anejax.make_mesh((anejax.process_count(),), ('batch',))."
        )
    run = f

    @functools.wraps(f, assigned=("__doc__", "__name__", "__module__"), updated=())
    def mapped(*args: Any) -> Any:
        specs = (
            in_specs
            if isinstance(in_specs, tuple) and not isinstance(in_specs, PartitionSpec)
            else (in_specs,) * len(args)
        )
        leaves, treedef = tree.flatten(args)
        parts = [_enter(x, s, mesh) for x, s in zip(leaves, _specs("in_specs", specs, args), strict=True)]
        with over_processes(tuple(mesh.shape.items()), gradients=not check_vma):
            out = run(*tree.unflatten(treedef, parts))
        leaves, treedef = tree.flatten(out)
        whole = [_leave(x, s, mesh) for x, s in zip(leaves, _specs("out_specs", out_specs, out), strict=True)]
        return tree.unflatten(treedef, whole)

    return mapped


def _specs(name: str, prefix: Any, full: Any) -> list[PartitionSpec]:
    specs = tree.broadcast_prefix(prefix, full, is_leaf=lambda x: x is None or isinstance(x, PartitionSpec))
    for spec in specs:
        if spec is not None and not isinstance(spec, PartitionSpec):
            raise TypeError(f"[shard_map] expected a PartitionSpec in {name}, got {spec!r}.")
    return [spec or PartitionSpec() for spec in specs]


def _enter(x: Any, spec: PartitionSpec, mesh: Mesh) -> Any:
    """The part of ``x`` that belongs to this process."""
    shape = aval_of(x).shape
    dim = spec.divided(mesh, len(shape), "shard_map")
    if mesh.size == 1:
        return x
    if dim is None:
        return _moved(x, processes.enter_p, None)
    check_divides("shard_map", shape, dim, mesh)
    return _moved(x, processes.cut_p, dim)


def _leave(x: Any, spec: PartitionSpec, mesh: Mesh) -> Any:
    """The array of which ``x`` is this process's part."""
    dim = spec.divided(mesh, aval_of(x).ndim, "shard_map")
    if mesh.size == 1:
        return x
    return _moved(x, processes.leave_p, None) if dim is None else _moved(x, processes.join_p, dim)


def _moved(x: Any, prim: Any, dim: int | None) -> Any:
    """``prim`` along axis ``dim`` of ``x``, or of all of it; gradients of integers are nobody's."""
    if dim is None:
        return prim.bind(x) if dtypes.is_inexact(aval_of(x).dtype) else x
    first = move_axis(x, dim, 0)
    if aval_of(x).dtype in dtypes.COMPLEX:
        out = complex_parts.complex(prim.bind(complex_parts.real(first)), prim.bind(complex_parts.imag(first)))
    else:
        out = prim.bind(first)
    return move_axis(out, 0, dim)


def pmap(
    fun: Callable[..., Any],
    axis_name: Any = None,
    *,
    in_axes: Any = 0,
    out_axes: Any = 0,
    static_broadcasted_argnums: int | Sequence[int] = (),
    devices: Any = None,
    backend: str | None = None,
    axis_size: int | None = None,
    donate_argnums: int | Sequence[int] = (),
) -> Callable[..., Any]:
    """Compiles ``fun``. Every process runs it on its own device's data, so mapped axes have length 1.

    Args:
        fun: a function of pytrees.
        axis_name: a name for the processes, for ``lax.psum`` and the other collectives.
        in_axes: as those of ``vmap``; each mapped axis has one element for each device of this process, which is one.
        out_axes: the position of that axis in each result.
        static_broadcasted_argnums: positions of arguments that are no arrays.
        devices, backend, axis_size: accepted for compatibility.
        donate_argnums: positions of arguments whose memory the results may take.

    Raises:
        ShapeError: a mapped axis of another length than 1.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.pmap(lambda x: x / aj.lax.psum(x, "i"), axis_name="i")(jnp.ones((1, 3)))
        Array([[1., 1., 1.]], dtype=float32)
    """
    static = (
        (static_broadcasted_argnums,)
        if isinstance(static_broadcasted_argnums, int)
        else tuple(static_broadcasted_argnums)
    )
    name = object() if axis_name is None else axis_name

    def on_own(*args: Any) -> Any:
        dynamic = [i for i in range(len(args)) if i not in static]
        axes = in_axes if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
        if len(axes) != len(args):
            raise ValueError(f"[pmap] expected one entry of in_axes per argument, got {len(axes)} for {len(args)}.")
        given = list(args)
        for i in dynamic:
            dims = tree.broadcast_prefix(axes[i], args[i], is_leaf=lambda x: x is None)
            leaves, treedef = tree.flatten(args[i])
            given[i] = tree.unflatten(treedef, [_own(x, d, name_of(fun)) for x, d in zip(leaves, dims, strict=True)])
        with over_processes(((name, process_count()),)):
            out = fun(*given)
        leaves, treedef = tree.flatten(out)
        dims = tree.broadcast_prefix(out_axes, out, is_leaf=lambda x: x is None)
        placed = [x if d is None else expand_dims(x, (d,)) for x, d in zip(leaves, dims, strict=True)]
        return tree.unflatten(treedef, placed)

    functools.update_wrapper(on_own, fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    return jit(on_own, static_argnums=static, donate_argnums=donate_argnums)


def _own(x: Any, dim: int | None, name: str) -> Any:
    """The one slice of ``x`` along its mapped axis."""
    if dim is None:
        return x
    aval = aval_of(x)
    if not -aval.ndim <= dim < aval.ndim or aval.shape[dim] != 1:
        raise ShapeError(
            f"[pmap] expected axis {dim} of length 1, the number of devices of a process, got {aval} as an"
            f" argument of {name}."
        )
    return index_in_dim(x, 0, dim, keepdims=False)
