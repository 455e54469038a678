"""Makes functions that move elements accept arrays of typed keys, by moving the keys' words.

The words of a key are the last axis. The function is mapped over it, so it sees arrays of the keys' own shape.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from anejax import dtypes, tree
from anejax.api.batching import vmap
from anejax.core.aval import checked_shape
from anejax.core.keys import KeyArray
from anejax.errors import DtypeError
from anejax.numpy import at, creation, elementwise, indexing, reductions, shaping
from anejax.numpy.methods import METHODS

# functions of anejax.numpy; broadcast_arrays, meshgrid and similar ones take their arrays as separate arguments
MOVING = (
    "append array_split atleast_1d atleast_2d atleast_3d broadcast_arrays broadcast_to column_stack compress concat"
    " concatenate delete diagonal dsplit dstack expand_dims extract flip fliplr flipud hsplit hstack insert"
    " matrix_transpose moveaxis permute_dims ravel repeat reshape resize roll rollaxis rot90 select split squeeze stack"
    " swapaxes take take_along_axis tile transpose unstack vsplit vstack where"
)
# functions of anejax.lax
LAX_MOVING = (
    "broadcast broadcast_in_dim broadcast_to_rank collapse concatenate dynamic_index_in_dim dynamic_slice"
    " dynamic_slice_in_dim dynamic_update_index_in_dim dynamic_update_slice dynamic_update_slice_in_dim expand_dims"
    " gather index_in_dim pad reshape rev scatter select select_n slice slice_in_dim split squeeze stack tile transpose"
    " unstack"
)


def _has_keys(values: Iterable[Any]) -> bool:
    kinds = (list, tuple)
    return any(type(v) is KeyArray or (type(v) in kinds and any(type(w) is KeyArray for w in v)) for v in values)


def _is_key(x: Any) -> bool:
    return isinstance(x, KeyArray)


def moved(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls ``function``, which moves elements, with arguments some of which are keys or lists of keys."""
    leaves, treedef = tree.flatten((args, kwargs), is_leaf=lambda x: x is None or _is_key(x))
    places = [i for i, leaf in enumerate(leaves) if _is_key(leaf)]

    def of_words(*words: Any) -> Any:
        whole = list(leaves)
        for i, w in zip(places, words):
            whole[i] = w
        args, kwargs = tree.unflatten(treedef, whole)
        return function(*args, **kwargs)

    out = vmap(of_words, in_axes=-1, out_axes=-1)(*(leaves[i]._words for i in places))
    return tree.map(KeyArray, out)


def of_keys_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes ``function``, which moves elements, accept keys as well."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _has_keys(args) or (kwargs and _has_keys(kwargs.values())):
            return moved(function, *args, **kwargs)
        return function(*args, **kwargs)

    return wrapper


def _comparing(function: Callable[..., Any], whole: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, a comparison, for keys as well, whose words are compared and then ``whole`` taken of both."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 2 and _is_key(args[0]) and _is_key(args[1]):
            return whole(vmap(function, in_axes=-1, out_axes=-1)(args[0]._words, args[1]._words), -1)
        return function(*args, **kwargs)

    return wrapper


def _making(function: Callable[..., Any], place: int) -> Callable[..., Any]:
    """``function`` of a shape and, at ``place``, a dtype, which makes keys of words that are 0 where that is theirs."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        dtype = kwargs.get("dtype", args[place] if len(args) > place else None)
        if not isinstance(dtype, dtypes.KeyDtype):
            return function(*args, **kwargs)
        shape = checked_shape(kwargs.get("shape", args[0] if args else ()), function.__name__)
        return KeyArray(creation.zeros((*shape, 2), dtypes.uint32))

    return wrapper


def _like(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, which makes an array like another one: like keys it makes keys, filled with a key or zeros."""

    first = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        a: Any = args[0] if args else kwargs.get(first)
        if not _is_key(a):
            return function(*args, **kwargs)
        fill = args[1] if len(args) > 1 else kwargs.get("fill_value")
        shape = a.shape if kwargs.get("shape") is None else checked_shape(kwargs["shape"], function.__name__)
        if _is_key(fill):
            return moved(shaping.broadcast_to, fill, shape)
        if function.__name__ == "full_like":
            raise DtypeError(f"[full_like] expected a key to fill {a.aval} with, got {fill!r}.")
        return KeyArray(creation.zeros((*shape, 2), dtypes.uint32))

    return wrapper


def _full(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(shape: Any, fill_value: Any, *args: Any, **kwargs: Any) -> Any:
        if _is_key(fill_value):
            return moved(shaping.broadcast_to, fill_value, checked_shape(shape, "full"))
        return function(shape, fill_value, *args, **kwargs)

    return wrapper


def _array(function: Callable[..., Any]) -> Callable[..., Any]:
    """``array`` or ``asarray``: of a list of keys, an array of keys."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if args and type(args[0]) in (list, tuple) and args[0] and _has_keys(args[:1]):
            return moved(shaping.stack, list(args[0]))
        return function(*args, **kwargs)

    return wrapper


def with_keys(space: dict[str, Any]) -> None:
    """Makes the functions of ``anejax.numpy`` accept keys if jax's do. ``space`` holds the functions by name."""
    space.update((name, of_keys_too(space[name])) for name in MOVING.split())
    space.update(
        equal=_comparing(space["equal"], reductions.all), not_equal=_comparing(space["not_equal"], reductions.any)
    )
    space["array_equal"] = _comparing(space["array_equal"], reductions.all)
    space.update((name, _making(space[name], 1)) for name in ("zeros", "empty"))
    space.update((name, _like(space[name])) for name in ("zeros_like", "empty_like", "full_like"))
    space.update((name, _array(space[name])) for name in ("array", "asarray"))
    space["full"] = _full(space["full"])


def with_keys_lax(space: dict[str, Any]) -> None:
    """Makes the functions of ``anejax.lax`` accept keys if jax's do."""
    space.update((name, of_keys_too(space[name])) for name in LAX_MOVING.split())
    space.update(eq=_comparing(space["eq"], reductions.all), ne=_comparing(space["ne"], reductions.any))
    space.update(full=_full(space["full"]), full_like=_like(space["full_like"]), empty=_making(space["empty"], 1))


class _At:
    """``keys.at[index]``, of which there are ``set`` and ``get``: keys are no numbers."""

    def __init__(self, keys: KeyArray, index: Any = None) -> None:
        self._keys, self._index = keys, index

    def __getitem__(self, index: Any) -> _At:
        return _At(self._keys, index)

    def set(self, values: Any, **options: Any) -> KeyArray:
        """Copies of the keys with ``values`` at the index."""
        if not _is_key(values):
            raise DtypeError(f"[at] expected keys for {self._keys.aval}, got {type(values).__name__}.")
        place = lambda keys, new, index: at.IndexUpdateHelper(keys)[index].set(new, **options)  # noqa: E731
        return moved(place, self._keys, values, self._index)

    def get(self, **options: Any) -> KeyArray:
        """The keys at the index."""
        return moved(lambda keys, index: at.IndexUpdateHelper(keys)[index].get(**options), self._keys, self._index)

    def __getattr__(self, name: str) -> Any:
        raise DtypeError(f"[at] keys have no {name}: expected set or get.")


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def method(self: KeyArray, *args: Any, **kwargs: Any) -> Any:
        return moved(function, self, *args, **kwargs)

    return method


def _comparison(function: Callable[..., Any], whole: Callable[..., Any]) -> Callable[..., Any]:
    compare = _comparing(function, whole)
    return lambda self, other: compare(self, other) if _is_key(other) else NotImplemented


def _unhashable(self: KeyArray) -> int:
    raise TypeError("[hash] keys are not hashable, as arrays are not.")


_NAMES = ["diagonal", "flatten", "ravel", "repeat", "reshape", "squeeze", "swapaxes", "take", "transpose"]
for _name in _NAMES:
    setattr(KeyArray, _name, _method(METHODS[_name]))
KeyArray.__getitem__ = _method(indexing.getitem)  # type: ignore[method-assign]
KeyArray.__eq__ = _comparison(elementwise.equal, reductions.all)  # type: ignore[method-assign]
KeyArray.__ne__ = _comparison(elementwise.not_equal, reductions.any)  # type: ignore[method-assign]
KeyArray.__hash__ = _unhashable  # type: ignore[method-assign]
KeyArray.copy = lambda self: KeyArray(self._words.copy())  # type: ignore[attr-defined]
KeyArray.at = property(_At)  # type: ignore[attr-defined]
KeyArray.T = property(_method(shaping.transpose))  # type: ignore[attr-defined]
KeyArray.mT = property(_method(shaping.matrix_transpose))  # type: ignore[attr-defined]
