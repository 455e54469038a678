"""Turns functions of pytrees into functions of flat lists, and checks the arguments of every transformation."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from anejax import dtypes, tree
from anejax.core.array import Array
from anejax.core.aval import Aval, ShapeDtypeStruct
from anejax.core.context import current_trace
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.tree import PyTree


class FlatFunction:
    """``fun`` as a function of flat leaves; after a call ``out_tree`` (and ``aux``) say what came out."""

    def __init__(self, fun: Callable[..., Any], in_tree: tree.PyTreeDef, has_aux: bool = False) -> None:
        self.fun, self.in_tree, self.has_aux = fun, in_tree, has_aux
        self.out_tree: Any = None
        self.aux: Any = None

    def __call__(self, *leaves: Any) -> list[Any]:
        args, kwargs = tree.unflatten(self.in_tree, leaves)
        out = self.fun(*args, **kwargs)
        if self.has_aux:
            out, aux = split_aux(self.fun, out)
            self.aux = tree.map(current_trace().primal_of, aux)
        flat, self.out_tree = tree.flatten(out)
        check_leaves(name_of(self.fun), "returned", flat, self.out_tree)
        return flat


def split_aux(fun: Callable[..., Any], out: Any) -> tuple[Any, Any]:
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(
            f"[{name_of(fun)}] with has_aux=True the function must return (output, aux), got {type(out).__name__}."
        )
    return out


def name_of(fun: Callable[..., Any]) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__


def argument_paths(fun: Callable[..., Any], treedef: tree.PyTreeDef) -> list[str]:
    """A name for each leaf of ``treedef``, a tree of (args, kwargs), such as ``x``, ``params['w']`` or ``rest[2]``."""
    try:
        named = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        named = []
    positional = [p.name for p in named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in named if p.kind is p.VAR_POSITIONAL), "args")

    def shown(path: str) -> str:
        place = re.match(r"\[0\]\[(\d+)\]", path)
        if place is None:  # [1]['name']...
            return re.sub(r"^\[1\]\['(\w+)'\]", r"\1", path)
        n, inside = int(place[1]), path[place.end() :]
        return positional[n] + inside if n < len(positional) else f"{rest}[{n - len(positional)}]{inside}"

    return [shown(path) for path in tree.treedef_paths(treedef, "")]


def check_leaves(
    op: str, what: str, leaves: Sequence[Any], treedef: tree.PyTreeDef, fun: Callable[..., Any] | None = None
) -> list[Aval]:
    """The avals of ``leaves``; one that is no array raises DtypeError with its path, as ``fun`` calls it if given."""
    avals = []
    for i, leaf in enumerate(leaves):
        try:
            avals.append(leaf.aval if isinstance(leaf, Array) else abstract(leaf))
        except DtypeError:
            paths = argument_paths(fun, treedef) if fun is not None else tree.treedef_paths(treedef, "")
            raise DtypeError(
                f"[{op}] {paths[i] or 'the value'} is {what} and must be an array or a number,"
                f" got {type(leaf).__name__} {leaf!r:.60}." + _advice(leaf, what)
            ) from None
    return avals


def _advice(leaf: Any, what: str) -> str:
    """Advice for the message about an argument or a result that is no array."""
    jax = sys.modules.get("jax")
    if jax is not None and not jax.tree_util.all_leaves([leaf]):
        return " It is a pytree of jax: make its class one of anejax's by anejax.interop.adopt_trees(it) first."
    if str(getattr(leaf, "dtype", "")).startswith("key<"):
        return " It is a typed key of jax: make it one by anejax.random.wrap_key_data(jax.random.key_data(it))."
    return " Mark such an argument static (static_argnums, static_argnames)." if what == "an argument" else ""


def abstract(x: Any) -> Aval:
    """The aval of an array, a number or a ShapeDtypeStruct (anything with shape and dtype)."""
    if isinstance(x, ShapeDtypeStruct):
        return Aval(x.shape, x.dtype, x.weak_type)
    try:
        return aval_of(x)
    except DtypeError:
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return Aval(tuple(x.shape), dtypes.canonical(x.dtype))
        raise


def _signature_of(fun: Callable[..., Any], chosen: Sequence[int]) -> inspect.Signature:
    """The parameters of ``fun`` at the places ``chosen``, as far as they have names."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (ValueError, TypeError):
        parameters = []
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = [places[n].name if n < len(places) else f"args_{n}" for n in chosen]
    return inspect.Signature([inspect.Parameter(n, inspect.Parameter.POSITIONAL_ONLY) for n in names])


def select_args(
    op: str, fun: Callable[..., Any], argnums: int | Sequence[int], args: Sequence[Any], kwargs: dict[str, Any]
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """(a function of the chosen positional arguments alone, those arguments)."""
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    count = len(args)
    for n in chosen:
        if not -count <= n < count:
            raise ValueError(
                f"[{op}] argnums {argnums} names argument {n}, but {name_of(fun)} was called with {count} positional"
                " arguments. Pass the argument by position."
            )
    chosen = tuple(n % count for n in chosen)

    def of_chosen(*values: PyTree) -> Any:
        full = list(args)
        for n, v in zip(chosen, values):
            full[n] = v
        return fun(*full, **kwargs)

    of_chosen.__name__ = name_of(fun)
    of_chosen.__signature__ = _signature_of(fun, chosen)  # type: ignore[attr-defined]
    return of_chosen, tuple(args[n] for n in chosen)


def check_cotangents(op: str, avals: Sequence[Aval], cts: Sequence[Any], treedef: tree.PyTreeDef) -> None:
    """Checks that tangents or cotangents have the types of their primals or results."""
    for i, (aval, ct) in enumerate(zip(avals, cts)):
        expected, got = aval.tangent(), aval_of_tangent(ct)
        if expected.shape != got.shape or (expected.dtype != got.dtype and not got.weak_type):
            path = tree.treedef_paths(treedef, "")[i]
            where = f" at {path}" if path else ""
            raise (ShapeError if expected.shape != got.shape else DtypeError)(
                f"[{op}] expected {expected}{where} for a value of type {aval}, got {got}."
            )


def aval_of_tangent(x: Any) -> Aval:
    dtype = getattr(x, "dtype", None)
    return Aval(tuple(x.shape), dtypes.float0) if dtype == dtypes.float0 else aval_of(x)
