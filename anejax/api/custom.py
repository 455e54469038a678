"""Functions with derivative rules that the user writes: custom_jvp, custom_vjp; and stop_gradient."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from anejax import dtypes, tree
from anejax.api.flat import FlatFunction, aval_of_tangent, check_leaves, name_of
from anejax.api.memory import Remembers
from anejax.callers import is_internal
from anejax.core.aval import Aval
from anejax.core.context import current_mark, current_trace, marked
from anejax.core.primitive import Zero
from anejax.core.trace import aval_of
from anejax.errors import ShapeError, TreeError
from anejax.ops.families import instantiate
from anejax.transforms.custom import CustomJVPCall, CustomVJPCall
from anejax.tree import PyTree
from anejax.tree import map as map_tree


class SymbolicZero:
    """A tangent or cotangent that is zero, of the type ``aval``, for rules set with ``symbolic_zeros=True``."""

    __slots__ = ("aval",)

    def __init__(self, aval: Aval) -> None:
        self.aval = aval

    shape = property(lambda self: self.aval.shape)
    dtype = property(lambda self: self.aval.dtype)
    ndim = property(lambda self: self.aval.ndim)
    size = property(lambda self: self.aval.size)

    @staticmethod
    def from_primal_value(value: Any) -> SymbolicZero:
        """The zero tangent of ``value``."""
        return SymbolicZero(aval_of(value).tangent())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolicZero) and self.aval == other.aval

    def __hash__(self) -> int:
        return hash(self.aval)

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval})"


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero tangents of ``val``, a tree: arrays, or with ``symbolic_zeros`` a SymbolicZero for each."""
    make = SymbolicZero.from_primal_value if symbolic_zeros else (lambda v: _shown(Zero(aval_of(v).tangent())))
    return tree.map(make, val)


class CustomVJPPrimal:
    """An argument of a forward rule set with ``symbolic_zeros=True``.

    Attributes:
        value: the argument. perturbed: whether it is differentiated, so that its cotangent is asked for.
    """

    __slots__ = ("perturbed", "value")

    def __init__(self, value: Any, perturbed: bool) -> None:
        self.value, self.perturbed = value, perturbed

    def __repr__(self) -> str:
        return f"CustomVJPPrimal(value={self.value!r}, perturbed={self.perturbed})"


def custom_vjp_primal_tree_values(tree: PyTree) -> PyTree:
    """``tree`` with the value in the place of each CustomVJPPrimal."""
    is_primal = lambda x: isinstance(x, CustomVJPPrimal)  # noqa: E731
    return map_tree(lambda x: x.value if is_primal(x) else x, tree, is_leaf=is_primal)


class _Custom(Remembers):
    """The code that both decorators share: non-differentiable arguments are closed over, the others flattened."""

    def __init__(
        self, fun: Callable[..., Any], nondiff_argnums: int | Sequence[int] = (),
        nondiff_argnames: str | Sequence[str] = (),
    ) -> None:  # fmt: skip
        functools.update_wrapper(cast(Callable[..., Any], self), fun, updated=())
        self._fun = fun
        try:
            self._signature = inspect.signature(fun)
        except (ValueError, TypeError):  # some builtins
            self._signature = inspect.Signature()
        parameters = self._signature.parameters
        self._has_defaults = any(p.default is not inspect.Parameter.empty for p in parameters.values())
        nums = (nondiff_argnums,) if isinstance(nondiff_argnums, int) else tuple(nondiff_argnums)
        names = (nondiff_argnames,) if isinstance(nondiff_argnames, str) else tuple(nondiff_argnames)
        unknown = [n for n in names if n not in parameters]
        if unknown:
            raise ValueError(
                f"[{type(self).__name__}] {name_of(fun)} has no argument {unknown[0]!r} (nondiff_argnames)."
            )
        self._nondiff = (*nums, *map(list(parameters).index, names))

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, defaults included, since rules have one entry for each."""
        if not kwargs and not self._has_defaults:
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(
                f"[{type(self).__name__}] expected arguments that have a position, got {', '.join(bound.kwargs)} of"
                f" {name_of(self._fun)} by keyword alone. Take the * out of its signature, or close over the value."
            )
        return bound.args

    def _split(self, args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        nondiff = {n % len(args) for n in self._nondiff}
        return [args[n] for n in sorted(nondiff)], [a for i, a in enumerate(args) if i not in nondiff]

    def _function_of_rest(self, args: Sequence[Any]) -> Callable[..., Any]:
        count, nondiff = len(args), {n % len(args) for n in self._nondiff}
        fixed = {i: args[i] for i in nondiff}  # alone: the others may be tracers, which keep all of their trace

        def of_rest(*rest: Any) -> Any:
            given = iter(rest)
            return self._fun(*(fixed[i] if i in fixed else next(given) for i in range(count)))

        of_rest.__name__ = name_of(self._fun)
        return of_rest

    def _prepare(self, args: Sequence[Any]) -> Any:
        fixed, rest = self._split(args)
        leaves, in_tree = tree.flatten((tuple(rest), {}))
        check_leaves(name_of(self._fun), "an argument", leaves, in_tree)
        return fixed, leaves, in_tree, FlatFunction(self._function_of_rest(args), in_tree)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(cast(Callable[..., Any], self), instance)


class custom_jvp(_Custom):
    """A function with a JVP rule of yours; reverse mode follows from it.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> @aj.custom_jvp
        ... def f(x): return jnp.log1p(jnp.exp(x))
        >>> @f.defjvp
        ... def f_jvp(primals, tangents):
        ...     (x,), (t,) = primals, tangents
        ...     return f(x), t / (1 + jnp.exp(-x))
        >>> float(aj.grad(f)(0.0))
        0.5
    """

    _jvp: Callable[..., Any] | None = None
    _symbolic = False

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Sets the rule ``(*nondiff, primals, tangents) -> (output, output tangent)``. Returns ``jvp``.

        With ``symbolic_zeros`` tangents that are known to be zero arrive as ``SymbolicZero``, and may be returned so.
        """
        self._jvp, self._symbolic = jvp, bool(symbolic_zeros)
        return jvp

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """Sets a rule ``(tangent, out, *primals) -> tangent`` per argument; None means zero.

        The rule of an argument that is not differentiated is not called: an infinite derivative times 0 is no NaN.
        """

        def jvp(primals: PyTree, tangents: PyTree) -> PyTree:
            out = self(*primals)
            needed = [not all(isinstance(leaf, SymbolicZero) for leaf in tree.leaves(t)) for t in tangents]
            given = [tree.map(_without_symbols, t) for t in tangents]
            terms = [r(t, out, *primals) for r, t, n in zip(rules, given, needed) if r is not None and n]
            zero = tree.map(lambda o: instantiate(Zero(aval_of(o).tangent())), out)
            return out, functools.reduce(lambda a, b: tree.map(lambda x, y: x + y, a, b), terms, zero)

        self._jvp, self._symbolic = jvp, True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._jvp is None:
            raise AttributeError(
                f"[custom_jvp] {name_of(self._fun)} has no rule yet: set one with @{name_of(self._fun)}.defjvp."
            )
        args = self._positional(args, kwargs)
        fixed, leaves, in_tree, flat = self._prepare(args)
        rule, name = self._jvp, name_of(self._fun)
        shown = _symbol if self._symbolic else _shown
        trees: list[Any] = []

        def flat_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            p, t = (tree.unflatten(in_tree, list(map(shown, x)))[0] for x in (primals, tangents))
            with _lines_of(rule):
                result = rule(*fixed, p, t)
            if not (isinstance(result, (tuple, list)) and len(result) == 2):
                raise TypeError(f"[custom_jvp] the rule of {name} must return (output, output tangent).")
            outs, out_tree = tree.flatten(result[0])
            ts = tree.flatten_up_to(out_tree, result[1], f"the tangent that the rule of {name} returned")
            trees[:] = [out_tree]
            for o, tangent in zip(outs, ts):
                if not isinstance(tangent, SymbolicZero):
                    _same_type(name, "tangent", aval_of(o).tangent(), tangent)
            return outs, [_taken(t) for t in ts]

        outs = current_trace().process_custom_jvp(CustomJVPCall(flat, flat_jvp, name), leaves)
        return tree.unflatten(flat.out_tree if flat.out_tree is not None else trees[0], outs)


class custom_vjp(_Custom):
    """A function with a reverse-mode rule of yours: ``defvjp(forward, backward)``.

    ``forward(*args) -> (output, residuals)``; ``backward(*nondiff, residuals, cotangent) -> a tuple`` with one
    cotangent tree (or None for zero) per differentiable argument.
    """

    _rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    _symbolic = False

    def defvjp(
        self, fwd: Callable[..., Any], bwd: Callable[..., Any], symbolic_zeros: bool = False,
        optimize_remat: bool = False,
    ) -> None:  # fmt: skip
        """Sets the two rules.

        Args:
            symbolic_zeros: whether ``fwd`` gets each leaf of its arguments as a ``CustomVJPPrimal``, with ``.value``
                and ``.perturbed``, and ``bwd`` cotangents that are known to be zero as ``SymbolicZero``.
            optimize_remat: accepted for compatibility: results of a forward rule that nothing reads are never computed.
        """
        if symbolic_zeros and optimize_remat:
            raise NotImplementedError("[custom_vjp] expected symbolic_zeros or optimize_remat, got both.")
        self._rules, self._symbolic = (fwd, bwd), bool(symbolic_zeros)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name = name_of(self._fun)
        if self._rules is None:
            raise AttributeError(
                f"[custom_vjp] {name} has no rules yet: set them with {name}.defvjp(forward, backward)."
            )
        args = self._positional(args, kwargs)
        fixed, leaves, in_tree, flat = self._prepare(args)
        forward, backward = self._rules
        nondiff = {n % len(args) for n in self._nondiff} if args else set()
        symbolic = self._symbolic
        shown = _symbol if symbolic else _shown
        trees: dict[str, Any] = {}

        def fwd(perturbed: Sequence[bool], *values: PyTree) -> tuple[list[Any], list[Any]]:
            given_values = list(map(CustomVJPPrimal, values, perturbed)) if symbolic else values
            rest = iter(tree.unflatten(in_tree, given_values)[0])
            given = iter(fixed)
            count = len(fixed) + in_tree.children()[0].num_children
            with _lines_of(forward):
                result = forward(*(next(given) if i in nondiff else next(rest) for i in range(count)))
            if not (isinstance(result, tuple) and len(result) == 2):
                raise TypeError(f"[custom_vjp] the forward rule of {name} must return (output, residuals).")
            outs, trees["out"] = tree.flatten(result[0])
            residuals, trees["residuals"] = tree.flatten(result[1])
            trees["ins"] = [aval_of(v) for v in values]
            return residuals, outs

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
            ct = tree.unflatten(trees["out"], list(map(shown, cts)))
            with _lines_of(backward):
                found = backward(*fixed, tree.unflatten(trees["residuals"], residuals), ct)
            return _cotangents(name, found, in_tree, trees["ins"])

        outs = current_trace().process_custom_vjp(CustomVJPCall(flat, fwd, bwd, name), leaves)
        return tree.unflatten(flat.out_tree if flat.out_tree is not None else trees["out"], outs)


def _lines_of(rule: Callable[..., Any]) -> Any:
    """Inside, equations have the lines of a user's ``rule`` that make them; those of a rule of anejax the line of the
    call that the rule is for."""
    code, mark = getattr(rule, "__code__", None), current_mark()
    return marked(mark if code is None or is_internal(code.co_filename) else mark._replace(line=None))


def _cotangents(name: str, found: Any, in_tree: Any, avals: Sequence[Any]) -> list[Any]:
    args_tree = in_tree.children()[0]
    if not isinstance(found, (tuple, list)) or len(found) != args_tree.num_children:
        raise TreeError(
            f"[custom_vjp] the backward rule of {name} must return a tuple with one cotangent per differentiable"
            f" argument ({args_tree.num_children}), got {type(found).__name__}"
            f"{f' of {len(found)}' if isinstance(found, (tuple, list)) else ''}."
        )
    flat: list[Any] = []
    for sub, ct in zip(args_tree.children(), found):
        flat += [None] * sub.num_leaves if ct is None else tree.flatten_up_to(sub, ct, f"a cotangent of {name}")
    out = []
    for aval, ct in zip(avals, flat):
        zero = Zero(aval.tangent())
        if ct is None or isinstance(ct, SymbolicZero) or zero.aval.dtype == dtypes.float0:
            out.append(zero)
        else:
            _same_type(name, "cotangent", zero.aval, ct)
            out.append(ct)
    return out


def _same_type(name: str, what: str, expected: Any, got: Any) -> None:
    aval = aval_of_tangent(got)
    if aval.shape != expected.shape:
        raise ShapeError(f"[{name}] its custom rule must return a {what} of type {expected}, got {aval}.")


def _shown(x: Any) -> Any:
    """Symbolic zeros as users' rules see them."""
    if isinstance(x, Zero):
        return np.zeros(x.aval.shape, dtypes.float0) if x.aval.dtype == dtypes.float0 else instantiate(x)
    return x


def _symbol(x: Any) -> Any:
    """Symbolic zeros as users' rules see them that ask for them."""
    return SymbolicZero(x.aval) if isinstance(x, Zero) else x


def _without_symbols(x: Any) -> Any:
    return _shown(Zero(x.aval)) if isinstance(x, SymbolicZero) else x


def _taken(t: Any) -> Any:
    if isinstance(t, SymbolicZero):
        return Zero(t.aval)
    aval = aval_of_tangent(t)
    return Zero(aval) if aval.dtype == dtypes.float0 else t


@custom_jvp
def _stopped(x: Any) -> Any:
    return x


def _stopped_jvp(primals: PyTree, tangents: PyTree) -> Any:
    """With a symbolic zero, so that nothing behind it has a tangent, and no rule of the user's is asked for one."""
    (x,) = primals
    return _stopped(x), SymbolicZero.from_primal_value(x)


_stopped.defjvp(_stopped_jvp, symbolic_zeros=True)


def stop_gradient(x: Any) -> Any:
    """``x`` (a tree) as a constant to differentiation: its tangents are zero.

    Example:
        >>> import anejax as aj
        >>> float(aj.grad(lambda x: x * aj.lax.stop_gradient(x))(3.0))
        3.0
    """
    return tree.map(lambda leaf: _stopped(leaf) if dtypes.is_inexact(aval_of(leaf).dtype) else leaf, x)
