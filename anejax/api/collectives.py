"""jax.lax's collectives, over named axes of ``vmap`` and over processes. Each takes a pytree and treats each leaf.

An axis name may be a tuple of names. Together they form one axis, in which the first name varies slowest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.core.array import Array
from anejax.core.trace import aval_of
from anejax.errors import RefusedError, ShapeError, UnboundAxisError
from anejax.ops import arithmetic, elementwise, processes, reduce, shape
from anejax.ops import complex as complex_parts
from anejax.ops.families import is_python_scalar, move_axis
from anejax.ops.index import dynamic_index_in_dim
from anejax.transforms.collectives import all_gather_p, axis_index_p, process_axes
from anejax.transforms.vmap import named_axes


def _names(axis_name: Any) -> tuple[Any, ...]:
    return tuple(axis_name) if isinstance(axis_name, (tuple, list)) else (axis_name,)


def _length(op: str, name: Any) -> int:
    for known, size in named_axes():
        if known == name:
            return size
    raise UnboundAxisError(
        f"[{op}] expected the name of a mapped axis, got {name!r}; mapped here:"
        f" {', '.join(repr(n) for n, _ in named_axes()) or 'none'}. Give vmap, pmap or a mesh that axis_name."
    )


def _is_processes(name: Any) -> bool:
    """Whether the axis ``name`` is processes: no ``vmap`` inside has the same name."""
    return any(name == n for n, _ in process_axes()) and named_axes().count((name, _length("axis", name))) == 1


def _together(axis_name: Any) -> bool:
    """Whether ``axis_name`` is an axis of several processes, and nothing else."""
    return processes.WORLD.size > 1 and len(_names(axis_name)) == 1 and _is_processes(_names(axis_name)[0])


def _ungrouped(op: str, axis_index_groups: Any) -> None:
    if axis_index_groups is not None:
        raise RefusedError(f"[{op}] axis_index_groups is not supported; reshape the axis into two and map each.")


def axis_size(axis_name: Any) -> int:
    """The length of the mapped axis, a Python int. Raises UnboundAxisError if no ``vmap`` has that name."""
    return math.prod(_length("axis_size", n) for n in _names(axis_name))


def axis_index(axis_name: Any) -> Array:
    """The place of this example on the mapped axis, int32[].

    Example:
        >>> import anejax as aj
        >>> aj.vmap(lambda x: x + aj.lax.axis_index("i"), axis_name="i")(aj.numpy.zeros(3))
        Array([0., 1., 2.], dtype=float32)
    """
    index: Any = 0
    for name in _names(axis_name):
        index = index * _length("axis_index", name) + _place(name)
    return index


def _place(name: Any) -> Any:
    if not _is_processes(name):
        return axis_index_p.bind(axis_name=name)
    return processes.index_p.bind() if _length("axis_index", name) > 1 else np.int32(0)


def _gathered(op: str, x: Any, axis_name: Any) -> Any:
    """``x`` of every example, along a new first axis."""
    names = _names(axis_name)
    sizes = tuple(_length(op, n) for n in names)
    dims = aval_of(x).shape
    for name, size in zip(reversed(names), reversed(sizes)):
        x = _gathered_along(x, name, size)
    return shape.reshape(x, (math.prod(sizes), *dims)) if len(names) != 1 else x


def _gathered_along(x: Any, name: Any, size: int) -> Any:
    if not _is_processes(name):
        return all_gather_p.bind(x, axis_name=name, axis_size=size)
    if size == 1:
        return shape.expand_dims(x, (0,))
    return _by_parts(lambda part: processes.gather_p.bind(part, count=size), x)


def _by_parts(function: Callable[[Any], Any], x: Any) -> Any:
    """``function``, which is linear and takes no complex arrays, of ``x``."""
    if aval_of(x).dtype not in dtypes.COMPLEX:
        return function(x)
    return complex_parts.complex(function(complex_parts.real(x)), function(complex_parts.imag(x)))


def _own(op: str, x: Any, axis_name: Any) -> Any:
    """The slice of ``x`` at this example's place along the first axis."""
    return dynamic_index_in_dim(x, axis_index(axis_name), 0, keepdims=False)


def _over(op: str, function: Callable[[Any], Any]) -> Callable[..., Any]:
    def collective(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
        _ungrouped(op, axis_index_groups)
        return tree.map(lambda leaf: function(_gathered(op, leaf, axis_name)), x)

    collective.__name__ = collective.__qualname__ = op
    return collective


pmax, pmin = (
    _over(op, lambda x, f=f: f(x, (0,))) for op, f in (("pmax", reduce.reduce_max), ("pmin", reduce.reduce_min))
)
pmax.__doc__ = "The greatest of ``x`` over the mapped axis, element by element; NaN wins."
pmin.__doc__ = "The least of ``x`` over the mapped axis, element by element; NaN wins."


def psum(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The sum of ``x`` over the mapped axis. A Python number gives a Python number: ``psum(1, name)`` is the length.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.vmap(lambda x: x / aj.lax.psum(x, "i"), axis_name="i")(jnp.array([1.0, 3.0]))
        Array([0.25, 0.75], dtype=float32)
    """
    _ungrouped("psum", axis_index_groups)

    leaves, treedef = tree.flatten(x)
    names = _names(axis_name)
    mapped = tuple(n for n in names if not _is_processes(n))

    def one(leaf: Any) -> Any:
        if is_python_scalar(leaf):
            return leaf * axis_size(axis_name)
        if aval_of(leaf).dtype == dtypes.bool_:
            leaf = elementwise.convert_element_type(leaf, dtypes.int32)
        return reduce.reduce_sum(_gathered("psum", leaf, mapped), (0,)) if mapped else leaf

    totals = [one(leaf) for leaf in leaves]
    if len(mapped) < len(names) and processes.WORLD.size > 1:
        totals = _summed_over_processes(leaves, totals)
    return tree.unflatten(treedef, totals)


def _summed_over_processes(leaves: list[Any], totals: list[Any]) -> list[Any]:
    """All arrays in one message for each dtype."""
    arrays = [i for i, leaf in enumerate(leaves) if not is_python_scalar(leaf)]
    parts: list[Any] = []
    for i in arrays:
        halves = aval_of(totals[i]).dtype in dtypes.COMPLEX
        parts += [complex_parts.real(totals[i]), complex_parts.imag(totals[i])] if halves else [totals[i]]
    sums = iter(processes.process_sum(parts))
    for i in arrays:
        halves = aval_of(totals[i]).dtype in dtypes.COMPLEX
        totals[i] = complex_parts.complex(next(sums), next(sums)) if halves else next(sums)
    return totals


def pmean(x: Any, axis_name: Any, *, axis_index_groups: Any = None) -> Any:
    """The mean of ``x`` over the mapped axis."""
    total = psum(x, axis_name, axis_index_groups=axis_index_groups)
    return tree.map(lambda leaf: leaf / axis_size(axis_name), total)


def all_gather(x: Any, axis_name: Any, *, axis_index_groups: Any = None, axis: int = 0, tiled: bool = False) -> Any:
    """``x`` of every example along a new axis ``axis``, or joined along the one there is when ``tiled``."""
    _ungrouped("all_gather", axis_index_groups)

    def one(leaf: Any) -> Any:
        rank = aval_of(leaf).ndim + (not tiled)
        at = shape.check_axis("all_gather", axis, rank)
        out = move_axis(_gathered("all_gather", leaf, axis_name), 0, at)
        return _merged(out, at) if tiled else out

    return tree.map(one, x)


def _merged(x: Any, axis: int) -> Any:
    """``x`` with ``axis`` and the next one made one."""
    dims = aval_of(x).shape
    return shape.reshape(x, (*dims[:axis], dims[axis] * dims[axis + 1], *dims[axis + 2 :]))


def _cut(op: str, x: Any, axis: int, axis_name: Any, tiled: bool) -> Any:
    """``x`` with a first axis of the mapped axis's length, which ``axis`` (a part of it if ``tiled``) becomes."""
    aval, n = aval_of(x), axis_size(axis_name)
    axis = shape.check_axis(op, axis, aval.ndim)
    length = aval.shape[axis]
    if length % n if tiled else length != n:
        raise ShapeError(
            f"[{op}] expected axis {axis} of {aval} to have {'a multiple of ' if tiled else ''}{n} elements, the length"
            f" of the mapped axis {axis_name!r}."
        )
    if tiled:
        x = shape.reshape(x, (*aval.shape[:axis], n, length // n, *aval.shape[axis + 1 :]))
    return move_axis(x, axis, 0)


def psum_scatter(
    x: Any, axis_name: Any, *, scatter_dimension: int = 0, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """The part of the sum over the mapped axis that belongs to this example, cut along ``scatter_dimension``."""
    _ungrouped("psum_scatter", axis_index_groups)

    def one(leaf: Any) -> Any:
        if _together(axis_name):
            parts = _cut("psum_scatter", leaf, scatter_dimension, axis_name, tiled)
            return reduce.reduce_sum(_by_parts(processes.exchange_p.bind, parts), (0,))
        parts = _cut("psum_scatter", psum(leaf, axis_name), scatter_dimension, axis_name, tiled)
        return _own("psum_scatter", parts, axis_name)

    return tree.map(one, x)


def all_to_all(
    x: Any, axis_name: Any, split_axis: int, concat_axis: int, *, axis_index_groups: Any = None, tiled: bool = False
) -> Any:
    """Example i gets part i (along ``split_axis``) of every example, joined along ``concat_axis``."""
    _ungrouped("all_to_all", axis_index_groups)

    def one(leaf: Any) -> Any:
        at = shape.check_axis("all_to_all", concat_axis, aval_of(leaf).ndim)
        parts = _cut("all_to_all", leaf, split_axis, axis_name, tiled)  # [part, ...]
        if _together(axis_name):
            mine = move_axis(_by_parts(processes.exchange_p.bind, parts), 0, at)
        else:
            everyone = move_axis(_gathered("all_to_all", parts, axis_name), 1, 0)  # [part, example, ...]
            mine = move_axis(_own("all_to_all", everyone, axis_name), 0, at)
        return _merged(mine, at) if tiled else mine

    return tree.map(one, x)


def pswapaxes(x: Any, axis_name: Any, axis: int, *, axis_index_groups: Any = None) -> Any:
    """``x`` with ``axis`` and the mapped axis, of equal length, exchanged."""
    return all_to_all(x, axis_name, axis, axis, axis_index_groups=axis_index_groups)


def ppermute(x: Any, axis_name: Any, perm: Sequence[tuple[int, int]]) -> Any:
    """Sends ``x`` from example to example: ``perm`` holds (source, destination); who gets nothing has zeros."""
    n = axis_size(axis_name)
    sources = np.full(n, -1, np.int32)
    for source, target in perm:
        if not (0 <= source < n and 0 <= target < n) or sources[target] >= 0 or source in sources:
            raise ValueError(f"[ppermute] expected distinct sources and destinations below {n}, got {list(perm)}.")
        sources[target] = source
    if _together(axis_name):
        pairs = tuple((int(s), t) for t, s in enumerate(sources) if s >= 0)
        return tree.map(lambda leaf: _by_parts(lambda part: processes.permute_p.bind(part, pairs=pairs), leaf), x)
    source = _own("ppermute", sources, axis_name)

    def one(leaf: Any) -> Any:
        sent = dynamic_index_in_dim(_gathered("ppermute", leaf, axis_name), arithmetic.max(source, 0), 0, False)
        nothing = shape.broadcast_to(np.zeros((), aval_of(sent).dtype), aval_of(sent).shape)
        return arithmetic.select_n(arithmetic.lt(source, 0), sent, nothing)

    return tree.map(one, x)


def pshuffle(x: Any, axis_name: Any, perm: Sequence[int]) -> Any:
    """Example i gets ``x`` of example ``perm[i]``."""
    if sorted(perm) != list(range(axis_size(axis_name))):
        raise ValueError(f"[pshuffle] expected a permutation of {axis_size(axis_name)} examples, got {list(perm)}.")
    return ppermute(x, axis_name, [(source, target) for target, source in enumerate(perm)])


def pbroadcast(x: Any, axis_name: Any, source: int) -> Any:
    """``x`` of example ``source``, for every example."""
    return tree.map(lambda leaf: dynamic_index_in_dim(_gathered("pbroadcast", leaf, axis_name), source, 0, False), x)
