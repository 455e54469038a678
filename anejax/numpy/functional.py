"""Functions that apply other functions to parts of arrays: vectorize, apply_along_axis, apply_over_axes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

from anejax.api.batching import vmap
from anejax.errors import ShapeError
from anejax.numpy.operands import as_array, joint_shape, one_axis
from anejax.ops import shape

_SIGNATURE = re.compile(r"^(\((\w+(,\w+)*)?\)(,\((\w+(,\w+)*)?\))*)->(\((\w+(,\w+)*)?\)(,\((\w+(,\w+)*)?\))*)$")


def vectorize(
    pyfunc: Callable[..., Any], *, excluded: Any = frozenset(), signature: str | None = None
) -> Callable[..., Any]:
    """``pyfunc``, written for scalars (or the core axes that ``signature`` names), over arrays that broadcast.

    Args:
        pyfunc: takes and returns arrays with core axes only.
        excluded: positions and names of arguments that are passed as they are.
        signature: such as "(n,m),(m)->(n)"; scalars when None.

    Example:
        >>> import anejax.numpy as jnp
        >>> dot = jnp.vectorize(lambda a, b: (a * b).sum(), signature="(n),(n)->()")
        >>> dot(jnp.ones((2, 3)), jnp.ones(3))
        Array([3., 3.], dtype=float32)
    """
    excluded = set(excluded)
    if signature is not None and not _SIGNATURE.match(signature.replace(" ", "")):
        raise ValueError(f"[vectorize] expected a signature such as '(n),(n)->()', got {signature!r}.")

    @functools.wraps(pyfunc)
    def function(*args: Any, **kwargs: Any) -> Any:
        chosen = [i for i in range(len(args)) if i not in excluded]
        names = [k for k in kwargs if k not in excluded]

        def core(*xs: Any) -> Any:
            whole = list(args)
            for i, x in zip(chosen, xs):
                whole[i] = x
            return pyfunc(*whole, **{**kwargs, **dict(zip(names, xs[len(chosen) :]))})

        xs = [as_array("vectorize", args[i]) for i in chosen] + [as_array("vectorize", kwargs[k]) for k in names]
        out = _mapped(core, xs, _core_ranks(signature, xs))
        if signature is not None:
            _check_results(signature, xs, out)
        return out

    return function


def _labels(signature: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The names of the core axes of each argument, and of each result."""
    sides = signature.replace(" ", "").split("->")
    one, two = ([tuple(filter(None, i.split(","))) for i in re.findall(r"\(([^)]*)\)", side)] for side in sides)
    return one, two


def _check_results(signature: str, xs: Sequence[Any], out: Any) -> None:
    """Raises where the results are not as many, or not of the core axes, as the signature says."""
    inputs, outputs = _labels(signature)
    results = out if isinstance(out, tuple) else (out,)
    if len(results) != len(outputs):
        raise TypeError(
            f"[vectorize] {signature!r} describes {len(outputs)} results, the function gave {len(results)}."
        )
    sizes = {n: k for names, x in zip(inputs, xs) for n, k in zip(names, x.shape[x.ndim - len(names) :])}
    leading = joint_shape("vectorize", [x.shape[: x.ndim - len(names)] for names, x in zip(inputs, xs)])
    for names, y in zip(outputs, results):
        core = y.shape[len(leading) :]
        if len(core) != len(names) or any(sizes.setdefault(n, k) != k for n, k in zip(names, core)):
            raise ShapeError(f"[vectorize] {signature!r} describes results with the core {names}, got core {core}.")


def _core_ranks(signature: str | None, xs: Sequence[Any]) -> list[int]:
    if signature is None:
        return [0] * len(xs)
    labels, _ = _labels(signature)
    if len(labels) != len(xs):
        raise TypeError(f"[vectorize] {signature!r} describes {len(labels)} arguments, got {len(xs)}.")
    sizes: dict[str, int] = {}
    for names, x in zip(labels, xs):
        if x.ndim < len(names):
            raise ShapeError(f"[vectorize] {x.aval} has fewer axes than its core {names} in {signature!r}.")
        for name, n in zip(names, x.shape[x.ndim - len(names) :]):
            if sizes.setdefault(name, n) != n:
                raise ShapeError(f"[vectorize] core axis {name!r} of {signature!r} has lengths {sizes[name]} and {n}.")
    return [len(names) for names in labels]


def _mapped(core: Callable[..., Any], xs: Sequence[Any], ranks: Sequence[int]) -> Any:
    """``core`` mapped over the leading axes, one vmap per axis; axes of length 1 are not mapped but passed once."""
    leads = [x.shape[: x.ndim - r] for x, r in zip(xs, ranks)]
    target = joint_shape("vectorize", leads, [x.aval for x in xs])
    squeezed, maps = [], []
    for x, lead in zip(xs, leads):
        padded = (1,) * (len(target) - len(lead)) + lead
        maps.append([n == m and n != 1 for n, m in zip(padded, target)])
        squeezed.append(shape.squeeze(x, [i for i, n in enumerate(lead) if n == 1]))
    function, ones = core, [i for i, n in enumerate(target) if n == 1]
    for axis in reversed(range(len(target))):
        if target[axis] != 1:
            function = vmap(function, in_axes=tuple(0 if m[axis] else None for m in maps))
    out = function(*squeezed)
    restore = lambda y: shape.expand_dims(as_array("vectorize", y), ones)  # noqa: E731
    return tuple(map(restore, out)) if isinstance(out, tuple) else restore(out)


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """``func1d(row, *args)`` of every rank-1 slice along ``axis``; its result's axes take the place of ``axis``."""
    x = as_array("apply_along_axis", arr)
    i = one_axis("apply_along_axis", axis, x.ndim)
    function = lambda row: func1d(row, *args, **kwargs)  # noqa: E731
    for _ in range(i + 1, x.ndim):  # axes after the row's, the nearest first
        function = vmap(function, in_axes=-1, out_axes=-1)
    for _ in range(i):
        function = vmap(function)
    return function(x)


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Sequence[int]) -> Any:
    """``func(a, axis)`` for one axis after another; reduced axes stay with length 1."""
    x = as_array("apply_over_axes", a)
    for axis in axes:
        i = one_axis("apply_over_axes", axis, x.ndim)
        out = func(x, i)
        x = shape.expand_dims(out, (i,)) if out.ndim == x.ndim - 1 else out
        if x.ndim != as_array("apply_over_axes", a).ndim:
            raise ShapeError(f"[apply_over_axes] the function gave {out.aval}; expected rank {x.ndim} or one less.")
    return x
