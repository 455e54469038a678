"""The loops and branches that users call: scan, while_loop, fori_loop, map, associative_scan, cond, switch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes, tree
from anejax.api.batching import vmap
from anejax.api.flat import FlatFunction, check_leaves, name_of
from anejax.api.memory import cost_of, memory_of
from anejax.config import config
from anejax.core.aval import Aval
from anejax.core.graph import Graph
from anejax.core.trace import Tracer, aval_of, concrete_array
from anejax.errors import ConcretizationError
from anejax.ops import shape as shapes
from anejax.ops.arithmetic import clamp, lt, ne
from anejax.ops.elementwise import convert_element_type
from anejax.ops.prefixes import prefixes
from anejax.ops.shape import as_dtype
from anejax.transforms.control import cond as branching
from anejax.transforms.control import scan as scanning
from anejax.transforms.control import while_loop as looping
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.stage import stage
from anejax.transforms.vmap import named_axes
from anejax.tree import PyTree


class Staged(NamedTuple):
    """A body or branch: its Graph, the values of the Graph's first inputs, the tree of its results."""

    graph: Graph
    consts: list[Any]
    out_tree: Any

    @property
    def out_avals(self) -> list[Aval]:
        return self.graph.out_avals


class Body(NamedTuple):
    """A function to stage. The result is remembered with ``owner``, the user's function, of which ``role`` made it."""

    fun: Callable[..., Any]
    owner: Any
    role: Any = None

    @property
    def name(self) -> str:
        return name_of(self.owner)


def _stage(body: Body, in_tree: Any, avals: Sequence[Aval]) -> Staged:
    """``body``, of positional arguments, staged. The same function at the same types is staged once, as under jit."""
    key = (body.role, in_tree, tuple(avals), config.jax_enable_x64, named_axes())
    known = memory_of(body.owner).table("control")
    found = known.get(key)
    if found is None:
        flat = FlatFunction(body.fun, in_tree)
        graph, consts = stage(flat, avals)
        found = Staged(graph, consts, flat.out_tree)
        if not any(isinstance(c, Tracer) for c in consts):
            known.put(key, found, cost_of(graph, consts))
    return found


def _args_tree(*args: Any) -> Any:
    return tree.structure((args, {}))


def _arrays(op: str, what: str, value: Any) -> tuple[list[Any], Any]:
    """The leaves of ``value`` as operands, and its structure."""
    leaves, treedef = tree.flatten(value)
    check_leaves(op, what, leaves, treedef)
    return [x if isinstance(x, Tracer) else concrete_array(x) for x in leaves], treedef


def _check_callable(op: str, *functions: Any) -> None:
    for f in functions:
        if not callable(f):
            raise TypeError(f"[{op}] expected a function, got {type(f).__name__} {f!r:.60}.")


def _difference(a: Any, b: Any, root: str) -> str:
    """The first difference of two structures."""
    x, y = (tree.unflatten(treedef, [0] * treedef.num_leaves) for treedef in (a, b))
    return (tree.mismatch(x, y, root, exact=True) or f"{root}: expected {a}, got {b}.").removesuffix(".")


# --- carries ---------------------------------------------------------------------------------------------------------


def _joint_dtype(*avals: Aval) -> np.dtype:
    return dtypes.promote([(a.dtype, a.weak_type) for a in avals])[0]


def _strengthened(carry: Sequence[Any], out: Sequence[Aval]) -> list[Any]:
    """Initial values that are weakly typed, as Python numbers are, in the dtype that the body gives them."""
    return [
        convert_element_type(x, _joint_dtype(aval_of(x), o))
        if aval_of(x).weak_type and not aval_of(x).same_type(o) and aval_of(x).shape == o.shape
        else x
        for x, o in zip(carry, out)
    ]


def _settled(
    op: str, body: Body, carry: list[Any], carry_tree: Any, staged_at: Callable[[list[Any]], Staged],
    carry_of: Callable[[Any], Any],
) -> tuple[list[Any], Staged]:  # fmt: skip
    """The body staged at a carry whose types it keeps. ``carry_of`` finds the carry in the tree of results."""
    staged = staged_at(carry)
    out_tree = carry_of(staged.out_tree)
    if out_tree != carry_tree:
        raise TypeError(
            f"[{op}] {body.name} must return a carry of the structure that it takes:"
            f" {_difference(carry_tree, out_tree, 'carry')}."
        )
    stronger = _strengthened(carry, staged.out_avals)
    if any(a is not b for a, b in zip(carry, stronger)):
        carry, staged = stronger, staged_at(stronger)
    wrong = [
        f"{path or 'the carry'} comes in as {aval_of(x)} and goes out as {o}"
        for path, x, o in zip(tree.treedef_paths(carry_tree, "carry"), carry, staged.out_avals)
        if not aval_of(x).same_type(o)
    ]
    if wrong:
        raise TypeError(
            f"[{op}] the carry of {body.name} must keep its types: {'; '.join(wrong)}."
            " Convert what it returns with .astype, or begin with a value of the other type."
        )
    return carry, staged


# --- scan ------------------------------------------------------------------------------------------------------------


def check_unroll(op: str, unroll: Any) -> None:
    """Raises ValueError unless ``unroll`` is a bool or an integer that is not negative."""
    if not isinstance(unroll, (bool, int)) or unroll < 0:
        raise ValueError(f"[{op}] expected unroll to be a bool or an integer that is not negative, got {unroll!r}.")


def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: PyTree,
    xs: PyTree = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
    _split_transpose: bool = False,
) -> tuple[Any, Any]:
    """A loop over the slices of ``xs`` that carries values from turn to turn and stacks the results of all turns.

        carry = init
        for x in xs:  carry, y = f(carry, x);  ys.append(y)
        return carry, stack(ys)

    It is traced once, runs natively inside the program, and can be differentiated in both modes.

    Args:
        f: from (carry, x) to (carry, y); carry and y are trees of arrays, and the carry keeps structure and types.
        init: the first carry. Python numbers take the dtype that ``f`` gives them.
        xs: a tree of arrays with equal lengths along axis 0, or None.
        length: the number of turns; needed when ``xs`` has no arrays.
        reverse: go from the last slice to the first; ys are still in the order of xs.
        unroll: accepted for compatibility; the result is the same.

    Returns:
        (the last carry, ys with a new axis 0 of ``length``).

    Raises:
        TypeError: the carry changes structure or types; the message names the leaf. ValueError: lengths differ.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import lax
        >>> lax.scan(lambda total, x: (total + x, total), 0.0, jnp.arange(4.0))
        (Array(6., dtype=float32), Array([0., 0., 1., 3.], dtype=float32, weak_type=True))
    """
    check_unroll("scan", unroll)
    _check_callable("scan", f)
    return _scan("scan", Body(f, f), init, xs, length, reverse)


def _scan(op: str, body: Body, init: PyTree, xs: PyTree, length: Any = None, reverse: bool = False) -> tuple[Any, Any]:
    carry, carry_tree = _arrays(op, "the initial carry", init)
    leaves, xs_tree = _arrays(op, "an array to scan over", xs)
    turns = _length(op, leaves, xs_tree, length)
    if config.jax_disable_jit:
        return _scan_in_python(op, body.fun, tree.unflatten(carry_tree, carry), leaves, xs_tree, turns, reverse)
    slices = [a.update(shape=a.shape[1:]) for a in map(aval_of, leaves)]
    in_tree = _args_tree(tree.unflatten(carry_tree, carry), tree.unflatten(xs_tree, leaves))

    def staged_at(carry: list[Any]) -> Staged:
        staged = _stage(body, in_tree, [*map(aval_of, carry), *slices])
        out = tree.unflatten(staged.out_tree, staged.out_avals)
        if not isinstance(out, tuple) or len(out) != 2:
            raise TypeError(f"[{op}] {body.name} must return a pair (carry, y), got {staged.out_tree}.")
        return staged

    carry, staged = _settled(op, body, carry, carry_tree, staged_at, lambda out_tree: out_tree.children()[0])
    outs = scanning.scan(staged.graph, staged.consts, carry, leaves, turns, bool(reverse))
    return tree.unflatten(staged.out_tree, outs)


def _length(op: str, leaves: Sequence[Any], xs_tree: Any, length: Any) -> int:
    """The number of turns, from the arrays and the given length."""
    paths = tree.treedef_paths(xs_tree, "xs")
    found = {}
    for path, x in zip(paths, leaves):
        if aval_of(x).ndim == 0:
            raise ValueError(f"[{op}] expected arrays with an axis to scan over, got {aval_of(x)} at {path}.")
        found[path] = aval_of(x).shape[0]
    if length is not None:
        found["length"] = operator.index(length)
    if len(set(found.values())) > 1:
        each = ", ".join(f"{path}: {n}" for path, n in found.items())
        raise ValueError(f"[{op}] expected arrays of one length along axis 0, got {each}.")
    if not found:
        raise ValueError(f"[{op}] expected arrays to scan over, or length: neither says how many turns there are.")
    return next(iter(found.values()))


def _scan_in_python(
    op: str, f: Any, carry: PyTree, leaves: Sequence[Any], xs_tree: Any, length: int, reverse: bool
) -> Any:
    """The loop unrolled, for ``disable_jit``."""
    if not length:
        raise ValueError(f"[{op}] a loop of no turns cannot run with jit disabled: nothing says what ys would be.")
    ys = []
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, tree.unflatten(xs_tree, [x[i] for x in leaves]))
        ys.append(y)
    return carry, tree.map(lambda *rows: _stacked(rows), *(reversed(ys) if reverse else ys))


def _stacked(rows: Sequence[Any]) -> Any:
    return shapes.concatenate([shapes.expand_dims(r, (0,)) for r in rows], 0)


def map_(f: Callable[[Any], Any], xs: PyTree, *, batch_size: int | None = None) -> PyTree:
    """``f`` of each slice of ``xs`` along axis 0, one after the other; results are stacked.

    Args:
        f: a function of one tree of slices.
        xs: a tree of arrays with equal lengths along axis 0.
        batch_size: unless None or 0, run that many slices at once, as ``vmap`` does; the rest follows in a last batch.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import lax
        >>> lax.map(lambda x: x * x, jnp.arange(3.0))
        Array([0., 1., 4.], dtype=float32)
    """
    _check_callable("map", f)
    if not batch_size:
        return _scan("map", _without_carry(f, f, "map"), (), xs)[1]
    leaves, treedef = _arrays("map", "an array to map over", xs)
    total = _length("map", leaves, treedef, None)
    whole = total // batch_size * batch_size
    part = lambda start, stop: [shapes.slice_in_dim(x, start, stop) for x in leaves]  # noqa: E731
    found = []
    if whole:
        rows = [shapes.reshape(x, (whole // batch_size, batch_size, *x.shape[1:])) for x in part(0, whole)]
        ys = _scan("map", _without_carry(vmap(f), f, "batched map"), (), tree.unflatten(treedef, rows))[1]
        found.append(tree.map(lambda y: shapes.reshape(y, (whole, *y.shape[2:])), ys))
    if total > whole or not total:
        found.append(vmap(f)(tree.unflatten(treedef, part(whole, total))))
    return found[0] if len(found) == 1 else tree.map(lambda *ys: shapes.concatenate(ys, 0), *found)


def _without_carry(f: Callable[[Any], Any], owner: Any, role: str) -> Body:
    return Body(lambda carry, x: ((), f(x)), owner, role)


# --- while and for ---------------------------------------------------------------------------------------------------


def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: PyTree) -> PyTree:
    """``body_fun`` applied as long as ``cond_fun`` of the value holds.

    Forward-mode differentiable only: nothing says how many turns' values reverse mode would have to keep.

    Args:
        cond_fun: from the value to a boolean scalar.
        body_fun: from the value to the next one, of the same structure and types.
        init_val: a tree of arrays. Python numbers take the dtype that ``body_fun`` gives them.

    Raises:
        TypeError: the value changes structure or types, or ``cond_fun`` does not return a boolean scalar.

    Example:
        >>> from anejax import lax
        >>> lax.while_loop(lambda x: x < 100, lambda x: x * 2, 1)
        Array(128, dtype=int32, weak_type=True)
    """
    _check_callable("while_loop", cond_fun, body_fun)
    return _while("while_loop", Body(cond_fun, cond_fun), Body(body_fun, body_fun), init_val)


def _while(op: str, condition: Body, body: Body, init: PyTree) -> Any:
    carry, carry_tree = _arrays(op, "the initial value", init)
    if config.jax_disable_jit:
        try:
            return _while_in_python(condition.fun, body.fun, tree.unflatten(carry_tree, carry))
        except ConcretizationError:  # the condition is mapped by vmap, say: only the primitive can go on
            pass
    in_tree = _args_tree(init)
    staged_at = lambda carry: _stage(body, in_tree, [aval_of(x) for x in carry])  # noqa: E731
    carry, staged = _settled(op, body, carry, carry_tree, staged_at, lambda out_tree: out_tree)
    cond = _stage(condition, in_tree, [aval_of(x) for x in carry])
    if [(a.shape, a.dtype) for a in cond.out_avals] != [((), dtypes.bool_)]:
        got = ", ".join(map(str, cond.out_avals)) or "nothing"
        raise TypeError(f"[{op}] {condition.name} must return a boolean scalar, got {got}.")
    return tree.unflatten(carry_tree, looping.while_loop(cond.graph, staged.graph, cond.consts, staged.consts, carry))


def _while_in_python(condition: Any, body: Any, value: Any) -> Any:
    """The loop as it is written, for ``disable_jit``."""
    while condition(value):
        value = body(value)
    return value


def fori_loop(
    lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: PyTree, *, unroll: int | bool | None = None
) -> PyTree:
    """``for i in range(lower, upper): val = body_fun(i, val)``.

    With Python integers as bounds it is a ``scan`` and can be differentiated in both modes; with traced ones it is a
    ``while_loop``, which has no reverse mode.

    Args:
        lower, upper: scalars, integers as a rule; no turn when upper <= lower. The index counts up by 1 from lower.
        body_fun: from (i, val) to val, of the same structure and types.
        init_val: a tree of arrays.
        unroll: accepted for compatibility where the bounds are known; the result is the same.

    Example:
        >>> from anejax import lax
        >>> lax.fori_loop(0, 5, lambda i, x: x + i, 0)
        Array(10, dtype=int32, weak_type=True)
    """
    _check_callable("fori_loop", body_fun)
    if unroll is not None:
        check_unroll("fori_loop", unroll)
        traced = any(isinstance(b, Tracer) and b.concrete() is None for b in (lower, upper))
        if traced and unroll not in (False, 1):
            raise ValueError(f"[fori_loop] expected bounds that are known when tracing with unroll={unroll!r}.")
    first, last = map(_bound, (lower, upper))
    _check_bounds(aval_of(first), aval_of(last))
    if not any(isinstance(b, Tracer) for b in (first, last)):  # the index is an integer of Python's then, as in jax
        begin, end = (int(np.asarray(b)) for b in (first, last))
        step = Body(lambda carry, _: ((carry[0] + 1, body_fun(*carry)), None), body_fun, "for")
        (_, out), _ = _scan("fori_loop", step, (begin, init_val), None, max(end - begin, 0))
        return out
    dtype = _joint_dtype(aval_of(first), aval_of(last))
    weak = lambda aval: aval.weak_type and aval.dtype == dtype  # noqa: E731
    first, last = (convert_element_type(b, dtype, weak(aval_of(b))) for b in (first, last))
    step = Body(lambda carry: (carry[0] + 1, carry[1], body_fun(carry[0], carry[2])), body_fun, "for")
    return _while("fori_loop", Body(_before_last, _before_last), step, (first, last, init_val))[2]


def _check_bounds(one: Aval, two: Aval) -> None:
    """Bounds have one dtype, or are signed integers of which one is Python's; raises DtypeError otherwise."""
    signed = one.dtype in dtypes.SIGNED and two.dtype in dtypes.SIGNED
    if one.dtype != two.dtype and not (signed and one.weak_type != two.weak_type):
        raise TypeError(f"[fori_loop] expected bounds of one dtype, got {one} and {two}.")


def _bound(x: Any) -> Any:
    aval = aval_of(x)
    if aval.shape != () or aval.dtype not in (*dtypes.INTS, *dtypes.FLOATS):
        raise TypeError(f"[fori_loop] expected real scalars as bounds, got {aval}.")
    return x if isinstance(x, Tracer) else concrete_array(x)


def _before_last(carry: PyTree) -> Any:
    return lt(carry[0], carry[1])


# --- branches --------------------------------------------------------------------------------------------------------


_NONE: Any = object()  # no operand was passed by keyword


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: PyTree, operand: PyTree = _NONE,
    linear: Any = None,
) -> Any:  # fmt: skip
    """``true_fun(*operands)`` if ``pred`` is true, else ``false_fun(*operands)``; only one of them runs.

    Both are traced, and both must return the same structure and types. Under ``vmap`` with a mapped ``pred`` both run,
    and each example takes its own.

    Args:
        pred: a boolean or number of rank 0.
        true_fun, false_fun: functions of the operands.
        operands: trees of arrays; you need not pass values that the functions close over.
        operand: one operand by keyword, as older programs pass it.
        linear: accepted for compatibility.

    Raises:
        TypeError: the branches return different structures or types; the message names the leaf.

    Example:
        >>> from anejax import lax
        >>> lax.cond(True, lambda x: x + 1.0, lambda x: x - 1.0, 5.0)
        Array(6., dtype=float32, weak_type=True)
    """
    if len(operands) == 2 and not callable(true_fun) and callable(false_fun) and callable(operands[1]):
        one, true_fun, two, false_fun = true_fun, false_fun, *operands  # cond(pred, x, true_fun, y, false_fun)
        with_own = lambda f, i: lambda both: f(both[i])  # noqa: E731
        return cond(pred, with_own(true_fun, 0), with_own(false_fun, 1), (one, two))
    _check_callable("cond", true_fun, false_fun)
    if operand is not _NONE:
        operands = (*operands, operand)
    if isinstance(pred, Callable):
        raise TypeError("[cond] expected pred, a scalar, first: cond(pred, true_fun, false_fun, *operands).")
    aval = aval_of(pred)
    if aval.shape != ():
        raise TypeError(f"[cond] expected pred of rank 0, got {aval}. Use anejax.numpy.where to choose by element.")
    truth = pred if aval.dtype == dtypes.bool_ else ne(pred, np.zeros((), aval.dtype))
    if config.jax_disable_jit and not isinstance(truth, Tracer):
        return (true_fun if truth else false_fun)(*operands)
    return _switch("cond", convert_element_type(truth, dtypes.int32), (false_fun, true_fun), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: PyTree, operand: PyTree = _NONE) -> Any:
    """``branches[index](*operands)``, with ``index`` clamped to the range; only that branch runs.

    Args:
        index: an integer scalar.
        branches: functions of the operands that return the same structure and types.
        operands: trees of arrays.
        operand: one operand by keyword, as older programs pass it.

    Example:
        >>> from anejax import lax
        >>> lax.switch(7, [lambda x: x, lambda x: x * 10.0], 2.0)
        Array(20., dtype=float32, weak_type=True)
    """
    branches = tuple(branches)
    if not branches:
        raise ValueError("[switch] expected one branch or more, got none.")
    _check_callable("switch", *branches)
    if operand is not _NONE:
        operands = (*operands, operand)
    aval = aval_of(index)
    if aval.shape != () or aval.dtype not in dtypes.INTS:
        raise TypeError(f"[switch] expected an integer scalar as index, got {aval}.")
    if len(branches) == 1:
        return branches[0](*operands)
    if config.jax_disable_jit and not isinstance(index, Tracer):
        return branches[min(max(int(index), 0), len(branches) - 1)](*operands)
    index = clamp(np.zeros((), aval.dtype), index, np.asarray(len(branches) - 1, aval.dtype))
    return _switch("switch", convert_element_type(index, dtypes.int32), branches, operands)


def _switch(op: str, index: Any, functions: Sequence[Callable[..., Any]], operands: tuple[Any, ...]) -> Any:
    leaves, _ = _arrays(op, "an operand", operands)
    in_tree = _args_tree(*operands)
    staged = [_stage(Body(f, f), in_tree, [aval_of(x) for x in leaves]) for f in functions]
    for f, branch in zip(functions[1:], staged[1:]):
        _check_branch(op, functions[0], staged[0], f, branch)
    branches = [(_with_types(s.graph, staged[0].out_avals), s.consts) for s in staged]  # weak types are the first's
    return tree.unflatten(staged[0].out_tree, branching.cond(branches, index, leaves))


def _with_types(graph: Graph, avals: Sequence[Aval]) -> Graph:
    """``graph`` with results of these dtypes."""
    if graph.out_avals == list(avals):
        return graph
    convert = lambda *flat: [  # noqa: E731
        convert_element_type(x, a.dtype, a.weak_type) for x, a in zip(eval_graph(graph, flat), avals)
    ]
    return stage(convert, graph.in_avals)[0]


def _check_branch(op: str, first: Any, a: Staged, other: Any, b: Staged) -> None:
    names = f"{name_of(first)} and {name_of(other)}"
    if a.out_tree != b.out_tree:
        found = _difference(a.out_tree, b.out_tree, "result")
        raise TypeError(f"[{op}] branches must return the same structure: {names} differ: {found}.")
    different = [
        f"{path or 'the result'} is {x} in one and {y} in the other"
        for path, x, y in zip(tree.treedef_paths(a.out_tree, ""), a.out_avals, b.out_avals)
        if x.shape != y.shape or x.dtype != y.dtype
    ]
    if different:
        raise TypeError(
            f"[{op}] branches must return the same types: {names} differ: {'; '.join(different)}. Convert one with"
            " .astype; a Python number is an int without a decimal point."
        )


# --- associative_scan ------------------------------------------------------------------------------------------------


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All prefixes of ``elems`` along ``axis`` combined by an associative ``fn``, in logarithmic depth.

    Args:
        fn: combines two trees of arrays element by element (it is given many pairs at once, along ``axis``).
        elems: a tree of arrays with equal lengths along ``axis``.
        reverse: combine suffixes instead.
        axis: the axis to go along.

    Returns:
        A tree like ``elems``.

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import lax
        >>> lax.associative_scan(jnp.multiply, jnp.arange(1.0, 5.0))
        Array([ 1.,  2.,  6., 24.], dtype=float32)
    """
    _check_callable("associative_scan", fn)
    leaves, treedef = _arrays("associative_scan", "an array to scan", elems)
    if not leaves:
        return elems
    axes = [shapes.check_axis("associative_scan", axis, aval_of(x).ndim) for x in leaves]
    lengths = {aval_of(x).shape[a] for x, a in zip(leaves, axes)}
    if len(lengths) > 1:
        each = ", ".join(map(str, map(aval_of, leaves)))
        raise ValueError(f"[associative_scan] expected arrays of one length along axis {axis}, got {each}.")

    def combine(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
        out = fn(tree.unflatten(treedef, left), tree.unflatten(treedef, right))
        return [as_dtype(x, aval_of(e).dtype) for x, e in zip(tree.flatten_up_to(treedef, out, "the result"), leaves)]

    flip = lambda xs: [shapes.rev(x, (a,)) for x, a in zip(xs, axes)] if reverse else xs  # noqa: E731
    return tree.unflatten(treedef, flip(prefixes(combine, flip(leaves), axes)))
