"""Evaluates a jaxpr of jax with anejax's operations, by one rule for each primitive of jax.

A rule takes an equation and its operands and returns the results. Typed keys are held as their words, uint32[..., 2],
because jax defines its primitives for keys (random_wrap, random_bits, ...) on words. A primitive that only moves
elements, such as gather, moves the words of keys by ``vmap`` over their last axis.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax.api.batching import vmap
from anejax.config import config
from anejax.core.context import current_mark, set_mark
from anejax.errors import MissingDependencyError, RefusedError
from anejax.interop.absent import reason
from anejax.marks import BACKWARD, FORWARD, Mark

Rule = Callable[..., Sequence[Any]]
RULES: dict[str, Rule] = {}
TAKES_KEYS: set[str] = set()  # primitives whose rules know what words are


def import_jax() -> Any:
    """Imports the module jax, which only this room needs. Raises MissingDependencyError."""
    try:
        import jax
    except ImportError:
        raise MissingDependencyError("[from_jax] expected jax to be installed: pip install jax.") from None
    return jax


def rule(*names: str, keys: bool = False) -> Callable[[Rule], Rule]:
    """Registers a rule for jax's primitives of these names. With ``keys`` the rule handles words of keys itself."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        if keys:
            TAKES_KEYS.update(names)
        return function

    return register


def evaluate(closed: Any, args: Sequence[Any]) -> list[Any]:
    """The results of a ClosedJaxpr of jax for ``args``."""
    return evaluate_open(closed.jaxpr, closed.consts, args)


def evaluate_open(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """The results of a Jaxpr of jax whose constants are given. Raises RefusedError for a primitive without a rule."""
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, map(constant, consts)))
    values.update(zip(jaxpr.invars, args))

    def read(atom: Any) -> Any:
        return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]

    for eqn in jaxpr.eqns:
        values.update(zip(eqn.outvars, _apply(eqn, list(map(read, eqn.invars)))))
    return list(map(read, jaxpr.outvars))


def trace(fun: Callable[..., Any], types: Sequence[Any]) -> Any:
    """The ClosedJaxpr of ``fun``, a function of jax, for arguments of ``types`` (jax.ShapeDtypeStruct)."""
    jax = import_jax()
    with jax.enable_x64(config.jax_enable_x64):
        return jax.make_jaxpr(fun)(*types)


def constant(value: Any) -> Any:
    """An array that jax captured, without a copy; the words of a key."""
    if is_key(value):
        return np.asarray(import_jax().random.key_data(value))
    return np.asarray(value)


def is_key(of: Any) -> bool:
    """Whether an array, an aval or a variable's aval of jax has a typed key for its elements."""
    return getattr(of.dtype, "name", "").startswith("key<")


def _apply(eqn: Any, operands: list[Any]) -> Sequence[Any]:
    """The rule's results for ``operands``; its equations get the layer, the part and the line that jax noted."""
    outer = current_mark()
    set_mark(_mark(eqn).within(outer))
    try:
        return _apply_rule(eqn, operands)
    finally:
        set_mark(outer)


def _apply_rule(eqn: Any, operands: list[Any]) -> Sequence[Any]:
    name = eqn.primitive.name
    found = RULES.get(name)
    if found is None:
        why = reason(name) or "it has no rule in this version"
        raise RefusedError(
            f"[from_jax] {name}{current_mark().place} is not supported: {why}. docs/from_jax.md lists what is."
        )
    try:
        if name not in TAKES_KEYS and any(is_key(v.aval) for v in (*eqn.invars, *eqn.outvars)):
            return _on_words(found, eqn, operands)
        return found(eqn, *operands)
    except RefusedError as err:
        if str(err).startswith("[from_jax]"):
            raise
        raise RefusedError(f"[from_jax] {name}{current_mark().place}: {err}") from err


def _on_words(found: Rule, eqn: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """Moves keys as their two words, by a rule that knows nothing of them."""
    axes = [-1 if is_key(v.aval) else None for v in eqn.invars]
    if all(a is None for a in axes):
        raise RefusedError("makes typed keys of none")
    return vmap(lambda *xs: tuple(found(eqn, *xs)), in_axes=axes, out_axes=-1)(*operands)


_TRANSFORMED = re.compile(r"\w+\(|\)")


def _mark(eqn: Any) -> Mark:
    """The mark of an equation from jax's stack of names, which reads ``transpose(jvp(Net))/Conv_0``."""
    names = str(getattr(eqn.source_info, "name_stack", ""))
    path = "/".join(filter(None, _TRANSFORMED.sub("", names).split("/")))
    return Mark(path, BACKWARD if "transpose(" in names else FORWARD, _line(eqn))


def _line(eqn: Any) -> str | None:
    """``file:line (function)`` of the innermost frame outside jax and anejax, if jax says where."""
    for frame in getattr(getattr(eqn.source_info, "traceback", None), "frames", ()):
        if not frame.file_name.startswith(_packages()):
            return f"{frame.file_name}:{frame.line_num} ({frame.function_name})"
    return None


@functools.cache
def _packages() -> tuple[str, str]:
    jax = os.path.dirname(os.path.abspath(import_jax().__file__))
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return jax + os.sep, ours + os.sep
