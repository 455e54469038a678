"""scan: a loop of known length that carries values, reads slices of arrays and stacks results.

    for i in range(length):  carry, y[i] = body(*consts, *carry, *(x[i] for x in xs))

Operands are (consts, carry, xs), and results (carry, ys). Every rule transforms the body's Graph and makes a scan of
the new body. Properties of a carry (it has a tangent, is mapped, is unknown) are least fixed points, because a property
that the body adds in one turn holds for all later turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anejax import dtypes
from anejax.config import config
from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.context import tracing
from anejax.core.graph import Atom, Graph, Literal, Var, has_effects, has_effects_in_while
from anejax.core.primitive import Linear, Primitive, Zero
from anejax.core.trace import Tracer, aval_of, concrete_array, executor
from anejax.errors import ShapeError
from anejax.ops.families import add_any, batch_to, instantiate, move_axis, zeros
from anejax.ops.shape import as_dtype
from anejax.transforms.calls import Transformed, batch_graph, cached, call_p, jvp_graph, remat_p, split_once
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.linearize import PartialTrace, Split, backward_mixed
from anejax.transforms.parts import (
    Flags,
    check_types,
    merge,
    nonzero,
    parts,
    settle,
    value_of,
    where,
    where_not,
    with_type,
)
from anejax.transforms.stage import stage

scan_p = Primitive("scan", multiple_results=True, higher_order=True)


def scan(
    body: Graph, consts: Sequence[Any], carry: Sequence[Any], xs: Sequence[Any], length: int, reverse: bool
) -> list[Any]:
    """The final carry, then the stacked ys of ``body``.

    A carry that the body returns unchanged becomes a const of the loop: the derivative of a carry is rounded to its
    type in every turn, that of a const is summed in a wide type.
    """
    changes = [a is not v for v, a in zip(body.inputs[len(consts) :], _sources(body, body.outputs[: len(carry)]))]
    same = where_not(changes, carry)
    if same:
        body = _without_constant_carry(body, len(consts), tuple(changes)).graph
        consts, carry = [*consts, *same], where(changes, carry)
    outs = scan_p.bind(
        *consts, *carry, *xs, body=body, num_consts=len(consts), num_carry=len(carry), length=length, reverse=reverse
    )
    same = [x if isinstance(x, Tracer) else concrete_array(x).kept() for x in same]  # callers may write to NumPy arrays
    return [*merge(changes, same, outs[: len(carry)]), *outs[len(carry) :]]


def _sources(graph: Graph, atoms: Sequence[Atom]) -> list[Atom]:
    """The variable that each of ``atoms`` copies, looking through calls that return an argument unchanged."""
    calls = {v: (e, i) for e in graph.eqns if e.primitive in (call_p, remat_p) for i, v in enumerate(e.outputs)}

    def source(atom: Atom) -> Atom:
        if not isinstance(atom, Var) or atom not in calls:
            return atom
        eqn, place = calls[atom]
        inner: Graph = eqn.params["graph"]
        (found,) = _sources(inner, inner.outputs[place : place + 1])
        return source(eqn.inputs[inner.inputs.index(found)]) if found in inner.inputs else atom

    return list(map(source, atoms))


@cached
def _without_constant_carry(body: Graph, num_consts: int, changes: Flags) -> Transformed:
    consts, carry, xs = parts(body.inputs, num_consts, len(changes))
    new, ys = parts(body.outputs, len(changes))
    inputs = (*consts, *where_not(changes, carry), *where(changes, carry), *xs)
    return Transformed(body.replace(inputs=inputs, outputs=(*where(changes, new), *ys)), [], None)


def stacked(aval: Aval, length: int) -> Aval:
    return aval.update(shape=(length, *aval.shape))


def _abstract(*avals: Aval, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> list[Aval]:
    consts, carry, xs = parts(avals, num_consts, num_carry)
    bad = [x for x in xs if x.shape[:1] != (length,)]
    if bad:
        raise ShapeError(f"[scan] expected arrays with {length} slices along axis 0, got {', '.join(map(str, bad))}.")
    slices = [x.update(shape=x.shape[1:]) for x in xs]
    check_types("scan", "inputs of the body", [*consts, *carry, *slices], body.in_avals)
    check_types("scan", "a carry out of the body", carry, body.out_avals[:num_carry])
    return _results(body, num_carry, length)


# --- evaluating ------------------------------------------------------------------------------------------------------


def _impl(*args: DeviceArray, **params: Any) -> list[DeviceArray]:
    if config.eager == "numpy" or has_effects_in_while(params["body"]):
        return in_python(*args, **params)
    return executor().run_primitive(scan_p, list(args), params)


def in_python(
    *args: DeviceArray, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool
) -> list[DeviceArray]:
    """The loop in Python, which defines ``scan`` and is the oracle of the native loop."""
    consts, carry, xs = parts(args, num_consts, num_carry)
    rows: list[list[Any]] = [[None] * length for _ in body.outputs[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = eval_graph(body, [*consts, *carry, *(DeviceArray(_slice(x.aval), np.asarray(x.value[i])) for x in xs)])
        carry = outs[:num_carry]
        for row, y in zip(rows, outs[num_carry:]):
            row[i] = np.asarray(y.value if isinstance(y, DeviceArray) else y)
    ys = []
    for row, aval in zip(rows, body.out_avals[num_carry:]):
        values = np.stack(row) if length else np.zeros((0, *aval.shape))
        ys.append(DeviceArray(stacked(aval, length), values.astype(aval.dtype)))
    return [*map(with_type, body.out_avals, carry), *ys]


def _slice(aval: Aval) -> Aval:
    return aval.update(shape=aval.shape[1:])


# --- derivatives forward, and batches --------------------------------------------------------------------------------


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, body: Graph, num_consts: int, num_carry: int, **params: Any
) -> tuple[list[Any], list[Any]]:
    counts = num_consts, num_carry
    consts, carry, xs = parts(primals, *counts)
    t_consts, t_carry, t_xs = parts(tangents, *counts)
    nz_consts, nz_xs = nonzero(t_consts), nonzero(t_xs)

    new = _jvp_body(body, nz_consts, nonzero(t_carry), nz_xs)
    nz_carry = new.outs[:num_carry]
    outs = scan(
        new.graph,
        [*new.consts, *consts, *where(nz_consts, t_consts)],
        [*carry, *map(instantiate, where(nz_carry, t_carry))],
        [*xs, *where(nz_xs, t_xs)],
        **params,
    )
    num_ys = len(body.outputs) - num_carry
    carry_out, carry_t, ys, ys_t = parts(outs, num_carry, sum(nz_carry), num_ys)
    zero = [Zero(a.tangent()) for a in _results(body, num_carry, params["length"])]
    return [*carry_out, *ys], merge(new.outs, where_not(new.outs, zero), [*carry_t, *ys_t])


@cached
def _jvp_body(body: Graph, nz_consts: Flags, nz_carry: Flags, nz_xs: Flags) -> Transformed:
    """Consts, carry, xs and ys are each followed by their tangents, where those are not zero (``outs`` for results)."""
    num_carry = len(nz_carry)
    num_ys = len(body.outputs) - num_carry

    def step(flags: Flags) -> tuple[Sequence[bool], Transformed]:
        new = jvp_graph(body, (*nz_consts, *flags, *nz_xs), (*flags, *[False] * num_ys))
        return new.outs[:num_carry], new

    nz_carry, new = settle(nz_carry, step)
    counts = len(nz_consts), num_carry, len(nz_xs), sum(nz_consts), sum(nz_carry)
    captured, p_consts, p_carry, p_xs, u_consts, u_carry, u_xs = parts(new.graph.inputs, len(new.consts), *counts)
    inputs = (*captured, *p_consts, *u_consts, *p_carry, *u_carry, *p_xs, *u_xs)
    p_out, p_ys, u_out, u_ys = parts(new.graph.outputs, num_carry, num_ys, sum(nz_carry))
    graph = new.graph.replace(inputs=inputs, outputs=(*p_out, *u_out, *p_ys, *u_ys))
    return Transformed(graph, new.consts, tuple(new.outs))


def _results(body: Graph, num_carry: int, length: int) -> list[Aval]:
    return [*body.out_avals[:num_carry], *(stacked(a, length) for a in body.out_avals[num_carry:])]


def _batch(
    size: int, args: Sequence[Any], dims: Sequence[int | None], *, body: Graph, num_consts: int, num_carry: int,
    **params: Any,
) -> tuple[list[Any], list[int | None]]:  # fmt: skip
    consts, carry, xs = parts(args, num_consts, num_carry)
    d_consts, d_carry, d_xs = parts(dims, num_consts, num_carry)
    d_slices = [None if d is None else 0 for d in d_xs]

    def step(flags: Flags) -> tuple[Sequence[bool], Transformed]:
        forced = (*flags, *(False for _ in body.outputs[num_carry:]))
        new = batch_graph(body, size, (*d_consts, *(0 if f else None for f in flags), *d_slices), forced)
        return [d is not None for d in new.outs[:num_carry]], new

    mapped, new = settle(tuple(d is not None for d in d_carry), step)
    outs = scan(
        new.graph,
        [*new.consts, *consts],
        [batch_to(x, d, size) if m else x for x, d, m in zip(carry, d_carry, mapped)],
        [x if d is None else move_axis(x, d, 1) for x, d in zip(xs, d_xs)],  # axis 0 stays the loop's
        **params,
    )
    carry_dims, ys_dims, _ = parts(new.outs, num_carry, len(outs) - num_carry)
    return outs, [*carry_dims, *(None if d is None else 1 for d in ys_dims)]


# --- partial evaluation ----------------------------------------------------------------------------------------------


def _partial(trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Two loops: one of all that is known, and a recorded one that reads the residuals of each turn.

    First everything that follows from known consts alone is computed once, outside both: its residuals would be the
    same in every turn, and are consts of the new body.
    """
    length, reverse, k = params["length"], params["reverse"], params["num_carry"]
    consts, carry, xs = parts(args, params["num_consts"], k)
    un_consts, un_carry, un_xs = parts(unknown, params["num_consts"], k)
    stay = [True] * len(consts) if has_effects(params["body"]) else un_consts  # an effect happens in every turn
    hoisted = _hoist(params["body"], tuple(stay))
    with tracing(trace.parent):
        fixed = eval_graph(hoisted.known, [*hoisted.consts, *where_not(stay, consts)])
    consts = [*fixed, *where(stay, consts)]
    un_consts = (*(False for _ in fixed), *where(stay, un_consts))
    plan = _plan(hoisted.unknown, un_consts, tuple(un_carry), tuple(un_xs), trace.linear)
    un_carry = plan.unknown_out[:k]
    known_consts = [*plan.consts, *where_not(un_consts, consts)]
    known_carry, known_xs = where_not(un_carry, carry), where_not(un_xs, xs)
    with tracing(trace.parent):
        known = scan(plan.known, known_consts, known_carry, known_xs, length, reverse)
    known_outs, per_turn = parts(known, plan.unknown_out.count(False))
    source = dict(zip(plan.known.inputs, [*known_consts, *known_carry, *known_xs]))
    source.update(zip(plan.known.outputs[len(known_outs) :], per_turn))
    residuals = [value_of(a, source) for a in plan.residuals]
    consts = [*where(plan.fixed, residuals), *where(un_consts, consts)]
    inputs = [*consts, *where(un_carry, carry), *where_not(plan.fixed, residuals), *where(un_xs, xs)]
    recorded = trace.recorder.process(scan_p, inputs, {
        "body": plan.unknown, "num_consts": len(consts), "num_carry": sum(un_carry), "length": length,
        "reverse": reverse,
    })  # fmt: skip
    return merge(plan.unknown_out, known_outs, recorded)


def _hoist(body: Graph, un_consts: Flags) -> Split:
    """Splits off the equations that follow from consts alone; ``_plan`` splits the others again."""
    rest = len(body.inputs) - len(un_consts)
    return split_once(body, (*un_consts, *[True] * rest), (True,) * len(body.outputs), False)


class _Plan(NamedTuple):
    """A body split in two."""

    known: Graph  # known inputs -> known results, then those residuals that are new in each turn
    consts: list[Any]  # its first inputs
    residuals: tuple[Atom, ...]  # outputs or inputs of ``known``, or literals
    fixed: Flags  # which residuals are the same in every turn
    unknown: Graph  # consts (fixed residuals first), carry, xs (the other residuals first) -> unknown results
    unknown_out: Flags


@cached
def _plan(body: Graph, un_consts: Flags, un_carry: Flags, un_xs: Flags, linear: bool) -> _Plan:
    no_ys = [False] * (len(body.outputs) - len(un_carry))

    def step(flags: Flags) -> tuple[Sequence[bool], Split]:
        split = split_once(body, (*un_consts, *flags, *un_xs), (*flags, *no_ys), linear)
        return split.unknown_out[: len(flags)], split

    un_carry, split = settle(un_carry, step)
    count = split.unknown_out.count(False)
    residuals = split.known.outputs[count:]
    num_consts = len(split.consts) + un_consts.count(False)
    consts, _, xs = map(set, parts(split.known.inputs, num_consts, un_carry.count(False)))
    fixed = tuple(isinstance(a, Literal) or a in consts for a in residuals)
    new = [a for a, f in zip(residuals, fixed) if not f and a not in xs]  # slices of known xs are there already
    known = split.known.replace(outputs=(*split.known.outputs[:count], *new))
    own, u_consts, u_carry, u_xs = parts(split.unknown.inputs, split.num_residuals, sum(un_consts), sum(un_carry))
    inputs = (*where(fixed, own), *u_consts, *u_carry, *where_not(fixed, own), *u_xs)
    unknown = split.unknown.replace(inputs=inputs)
    return _Plan(known, split.consts, residuals, fixed, unknown, tuple(split.unknown_out))


# --- transposition ---------------------------------------------------------------------------------------------------


def _transpose(
    cts: Sequence[Any], *args: Any, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool
) -> list[Any]:
    """The loop backwards: it carries the cotangents of the carry and the sums of those of linear consts."""
    consts, carry, xs = parts(args, num_consts, num_carry)
    lin_consts, lin_carry, lin_xs = ([isinstance(a, Linear) for a in p] for p in (consts, carry, xs))
    ct_carry, ct_ys = parts(cts, num_carry)
    nz_ys = nonzero(ct_ys)
    new = _transposed(body, (*lin_consts, *[True] * num_carry, *lin_xs), num_consts, num_carry, nz_ys)
    sums = [zeros(_wide(a.aval.tangent())) for a in where(lin_consts, consts)]
    outs = scan(
        new.graph,
        [*new.consts, *where_not(lin_consts, consts)],
        [*sums, *map(instantiate, ct_carry)],
        [*where(nz_ys, ct_ys), *where_not(lin_xs, xs)],
        length=length,
        reverse=not reverse,
    )
    of_consts, of_carry, of_xs = parts(outs, len(sums), num_carry)
    of_consts = [as_dtype(ct, a.aval.dtype) for ct, a in zip(of_consts, where(lin_consts, consts))]
    nothing = [None] * len(args)
    return [
        *merge(lin_consts, nothing, of_consts),
        *(ct if lin else None for ct, lin in zip(of_carry, lin_carry)),  # zeros given for a tangent are not linear
        *merge(lin_xs, nothing, of_xs),
    ]


def _wide(aval: Aval) -> Aval:
    """The type in which a sum over the turns of a loop is carried: one of 16 bits would stop growing at 256 or 2048."""
    return aval.update(dtype=dtypes.float32) if aval.dtype in (dtypes.float16, dtypes.bfloat16) else aval


def _add_wide(total: Any, ct: Any) -> Any:
    return total if isinstance(ct, Zero) else add_any(total, as_dtype(ct, aval_of(total).dtype))


@cached
def _transposed(body: Graph, linear: Flags, num_consts: int, num_carry: int, nz_ys: Flags) -> Transformed:
    """Inputs: residual consts, sums, cotangents of the carry, those of ys where ``nz_ys``, residual slices."""
    avals = body.in_avals
    lin_consts, _, lin_xs = parts(linear, num_consts, num_carry)
    a_consts, a_carry, a_xs = parts(avals, num_consts, num_carry)
    _, a_ys = parts(body.out_avals, num_carry)
    counts = lin_consts.count(False), sum(lin_consts), num_carry, sum(nz_ys)

    def run(*flat: Any) -> list[Any]:
        fixed, sums, ct_carry, ct_ys, slices = parts(flat, *counts)
        args = merge(linear, [*fixed, *slices], [Linear(a) for a in where(linear, avals)])
        ys = merge(nz_ys, [Zero(a.tangent()) for a in where_not(nz_ys, a_ys)], ct_ys)
        found = where(linear, backward_mixed(body, args, [*ct_carry, *ys]))
        of_consts, of_rest = parts(found, len(sums))
        return [instantiate(x) for x in (*map(_add_wide, sums, of_consts), *of_rest)]

    tangents = lambda avals: [a.tangent() for a in avals]  # noqa: E731
    new, captured = stage(run, [
        *where_not(lin_consts, a_consts), *map(_wide, tangents(where(lin_consts, a_consts))), *tangents(a_carry),
        *tangents(where(nz_ys, a_ys)), *where_not(lin_xs, a_xs),
    ])  # fmt: skip
    return Transformed(new, captured, None)


# --- lowering --------------------------------------------------------------------------------------------------------


def _mil(ctx: Any, *values: Any, body: Graph, num_consts: int, num_carry: int, length: int, reverse: bool) -> list[Any]:
    consts, carry, xs = parts(values, num_consts, num_carry)
    return ctx.emit_aj(
        body=ctx.function("scan_body", body), carry=carry, consts=consts, length=length, reverse=reverse, xs=xs
    )


scan_p.fill(abstract=_abstract, impl=_impl, jvp=_jvp, transpose=_transpose, batch=_batch, mil=_mil, partial=_partial)
