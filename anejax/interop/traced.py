"""from_jax: turns a function of jax into a function of anejax."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from anejax import dtypes
from anejax.api.memory import Remembers, memory_of
from anejax.api.staging import jit
from anejax.config import config
from anejax.core.aval import Aval
from anejax.core.trace import aval_of
from anejax.interop import arrays as arrays  # these register their rules
from anejax.interop import control as control
from anejax.interop import elementwise as elementwise
from anejax.interop import linear as linear
from anejax.interop import randomness as randomness
from anejax.interop.interpret import evaluate, import_jax, is_key, trace
from anejax.interop.trees import adopt_keys, adopt_trees
from anejax.random import KeyArray


def from_jax(
    fun: Callable[..., Any],
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Iterable[str] = (),
) -> Callable[..., Any]:
    """Turns ``fun``, which is written with jax, into a function of anejax.

    jax traces ``fun`` once for each structure and types of its arguments (``jax.make_jaxpr``), and computes nothing
    after that: every equation becomes the operation of the same meaning here. So ``grad``, ``vmap``, ``jit`` on any
    device, ``explain`` and export work on the result, and it may be used inside functions of anejax. Libraries on jax
    (Flax, Equinox, Haiku, optax, ...) may be used inside ``fun``. Functions with custom derivative rules
    (``jax.custom_jvp``, ``jax.custom_vjp``) keep them.

    Args:
        fun: a function of pytrees, as jax registers them, of arrays; the leaves of its results are arrays.
        static_argnums, static_argnames: arguments that are no arrays, as in ``jax.jit``; they are hashable.

    Returns:
        A function of the same arguments. Arrays of jax, of anejax and of NumPy are taken, and typed keys of both;
        results are arrays of anejax, in the trees that ``fun`` returns. Whether there are 64-bit types is anejax's
        setting, also while jax traces.

    Raises:
        MissingDependencyError: jax is not installed.
        RefusedError: when called, for a primitive of jax that has no meaning here; docs/from_jax.md lists them.

    Example:
        >>> import jax
        >>> import anejax as aj
        >>> f = aj.from_jax(lambda x: jax.nn.relu(x) ** 2)
        >>> float(f(3.0)), float(aj.grad(f)(3.0))
        (9.0, 6.0)
    """
    adopt_keys()
    numbers = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    return FromJax(fun, numbers, names)


class FromJax(Remembers):
    """The result of ``from_jax``."""

    def __init__(self, fun: Callable[..., Any], static_argnums: Sequence[int], static_argnames: Sequence[str]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self._fun, self._argnums, self._argnames = fun, *_both_kinds(fun, static_argnums, static_argnames)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        jax = import_jax()
        numbers = {i % len(args) for i in self._argnums if -len(args) <= i < len(args)}
        static = tuple((i, args[i]) for i in sorted(numbers))
        static_named = tuple((k, kwargs[k]) for k in sorted(kwargs) if k in self._argnames)
        dynamic = (
            [a for i, a in enumerate(args) if i not in numbers],
            {k: v for k, v in kwargs.items() if k not in self._argnames},
        )
        leaves, in_tree = jax.tree_util.tree_flatten(dynamic)
        operands, avals = map(list, zip(*map(_operand, leaves))) if leaves else ([], [])
        table = memory_of(self).table("from_jax")
        key = (in_tree, tuple(avals), static, static_named, config.jax_enable_x64)
        found = table.get(key)
        if found is None:
            adopt_trees(dynamic)
            found = _Traced(self._fun, in_tree, avals, static, static_named)
            table.put(key, found)
        return found(operands)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)


class _Traced:
    """A function of jax, traced for types of its arguments."""

    def __init__(self, fun: Any, in_tree: Any, avals: Sequence[Any], static: Any, static_named: Any) -> None:
        jax = import_jax()
        self._unflatten = jax.tree_util.tree_unflatten

        structures: list[Any] = []  # that of the results

        def flat(*leaves: Any) -> list[Any]:
            dynamic, named = self._unflatten(in_tree, leaves)
            rest, fixed = iter(dynamic), dict(static)
            args = [fixed[i] if i in fixed else next(rest) for i in range(len(dynamic) + len(fixed))]
            out = fun(*args, **named, **dict(static_named))
            adopt_trees(out)
            outs, structure = jax.tree_util.tree_flatten(out)
            structures.append(structure)
            return outs

        closed = trace(flat, list(map(_type_for_jax, avals)))
        self._out_tree = structures[0]
        self._keys = [is_key(v.aval) for v in closed.jaxpr.outvars]
        self._run = jit(functools.partial(_evaluate_in_order, closed))

    def __call__(self, operands: Sequence[Any]) -> Any:
        outs = self._run(*operands)
        return self._unflatten(self._out_tree, [KeyArray(x) if k else x for x, k in zip(outs, self._keys)])


def _evaluate_in_order(closed: Any, *operands: Any) -> list[Any]:
    return evaluate(closed, operands)


def _both_kinds(fun: Any, numbers: Sequence[int], names: Sequence[str]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """A static argument is one whether it is given by its place or by its name, as in ``jax.jit``."""
    try:
        parameters = [p.name for p in inspect.signature(fun).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        return tuple(numbers), tuple(names)
    named = {parameters[i] for i in numbers if -len(parameters) <= i < len(parameters)}
    placed = {parameters.index(n) for n in names if n in parameters}
    return tuple({*numbers, *placed}), tuple({*names, *named})


class _KeyType(NamedTuple):
    """The type of typed keys."""

    shape: tuple[int, ...]


def _operand(leaf: Any) -> tuple[Any, Any]:
    """(what is computed with, its type); the words of a typed key, of jax or of anejax."""
    if isinstance(leaf, KeyArray):
        return leaf._words, _KeyType(leaf.shape)
    jax = import_jax()
    if isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and is_key(leaf):
        return jax.random.key_data(leaf), _KeyType(leaf.shape)
    if isinstance(leaf, jax.Array):
        return leaf, Aval(leaf.shape, dtypes.canonical(leaf.dtype), bool(getattr(leaf, "weak_type", False)))
    return leaf, aval_of(leaf)


def _type_for_jax(aval: Any) -> Any:
    jax = import_jax()
    if isinstance(aval, _KeyType):
        return jax.ShapeDtypeStruct(aval.shape, jax.random.key(0).dtype)
    return jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type)
