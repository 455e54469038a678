"""while: a loop that runs as long as a condition on its carry holds.

    while cond(*cond_consts, *carry):  carry = body(*body_consts, *carry)

Operands are (cond_consts, body_consts, carry), results the carry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anejax.config import config
from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.context import tracing
from anejax.core.graph import Graph, Var, has_effects, remove_dead
from anejax.core.primitive import Primitive, Refused, Zero
from anejax.core.trace import aval_of, concrete_array, executor
from anejax.errors import DtypeError
from anejax.ops.arithmetic import select_n
from anejax.ops.families import batch_to, instantiate
from anejax.ops.reduce import reduce_or
from anejax.ops.shape import broadcast_in_dim
from anejax.transforms.calls import Transformed, batch_graph, cached, jvp_graph, split_once
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.linearize import PartialTrace, Split
from anejax.transforms.parts import Flags, check_types, merge, nonzero, parts, settle, where, where_not, with_type
from anejax.transforms.stage import stage

while_p = Primitive("while", multiple_results=True, higher_order=True)


def while_loop(
    cond: Graph, body: Graph, cond_consts: Sequence[Any], body_consts: Sequence[Any], carry: Sequence[Any]
) -> list[Any]:
    """The final carry."""
    counts = {"num_cond_consts": len(cond_consts), "num_body_consts": len(body_consts)}
    return while_p.bind(*cond_consts, *body_consts, *carry, cond=cond, body=body, **counts)


def _abstract(*avals: Aval, cond: Graph, body: Graph, num_cond_consts: int, num_body_consts: int) -> list[Aval]:
    cond_consts, body_consts, carry = parts(avals, num_cond_consts, num_body_consts)
    check_types("while_loop", "inputs of the condition", [*cond_consts, *carry], cond.in_avals)
    check_types("while_loop", "inputs of the body", [*body_consts, *carry], body.in_avals)
    check_types("while_loop", "a carry out of the body", carry, body.out_avals)
    if [str(a) for a in cond.out_avals] != ["bool[]"]:
        raise DtypeError(
            f"[while_loop] expected a condition of type bool[], got {', '.join(map(str, cond.out_avals))}."
        )
    return body.out_avals


def _impl(*args: DeviceArray, **params: Any) -> list[DeviceArray]:
    if config.eager == "numpy" or has_effects(params["cond"]) or has_effects(params["body"]):
        return _in_python(*args, **params)
    return executor().run_primitive(while_p, list(args), params)


def _in_python(
    *args: DeviceArray, cond: Graph, body: Graph, num_cond_consts: int, num_body_consts: int
) -> list[DeviceArray]:
    """The loop in Python: what the definition says, and the oracle of the native one."""
    cond_consts, body_consts, carry = parts(args, num_cond_consts, num_body_consts)
    while concrete_array(eval_graph(cond, [*cond_consts, *carry])[0]).value:
        carry = eval_graph(body, [*body_consts, *carry])
    return list(map(with_type, body.out_avals, carry))


# --- derivatives forward, and batches --------------------------------------------------------------------------------


def _jvp(
    primals: Sequence[Any], tangents: Sequence[Any], *, cond: Graph, body: Graph, num_cond_consts: int,
    num_body_consts: int,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    cond_consts, body_consts, carry = parts(primals, num_cond_consts, num_body_consts)
    _, t_consts, t_carry = parts(tangents, num_cond_consts, num_body_consts)
    nz_consts = nonzero(t_consts)
    new = _jvp_body(body, nz_consts, nonzero(t_carry))
    nz_carry = new.outs
    outs = while_loop(
        _with_unread(cond, nz_carry).graph,
        new.graph,
        cond_consts,
        [*new.consts, *body_consts, *where(nz_consts, t_consts)],
        [*carry, *map(instantiate, where(nz_carry, t_carry))],
    )
    values, found = parts(outs, len(carry))
    return values, merge(nz_carry, [Zero(a.tangent()) for a in where_not(nz_carry, body.out_avals)], found)


@cached
def _jvp_body(body: Graph, nz_consts: Flags, nz_carry: Flags) -> Transformed:
    """Inputs: consts, their tangents, carry, its tangents where ``outs``."""

    def step(flags: Flags) -> tuple[Sequence[bool], Transformed]:
        new = jvp_graph(body, (*nz_consts, *flags), flags)
        return new.outs, new

    flags, new = settle(nz_carry, step)
    captured, p_consts, p_carry, u_consts, u_carry = parts(
        new.graph.inputs, len(new.consts), len(nz_consts), len(flags), sum(nz_consts)
    )
    inputs = (*captured, *p_consts, *u_consts, *p_carry, *u_carry)
    return Transformed(new.graph.replace(inputs=inputs), new.consts, flags)


@cached
def _with_unread(cond: Graph, nz_carry: Flags) -> Transformed:
    """The condition of a loop that carries tangents too, which it does not look at."""
    carry = cond.in_avals[len(cond.inputs) - len(nz_carry) :]
    unread = tuple(Var(a.tangent()) for a in where(nz_carry, carry))
    return Transformed(cond.replace(inputs=(*cond.inputs, *unread)), [], None)


def _batch(
    size: int, args: Sequence[Any], dims: Sequence[int | None], *, cond: Graph, body: Graph, num_cond_consts: int,
    num_body_consts: int,
) -> tuple[list[Any], list[int | None]]:  # fmt: skip
    cond_consts, body_consts, carry = parts(args, num_cond_consts, num_body_consts)
    d_cond, d_body, d_carry = parts(dims, num_cond_consts, num_body_consts)
    at_zero = lambda flags: [0 if f else None for f in flags]  # noqa: E731

    def step(flags: Flags) -> tuple[Sequence[bool], tuple[Transformed, Transformed]]:
        new_cond = batch_graph(cond, size, (*d_cond, *at_zero(flags)), (False,))
        new_body = batch_graph(body, size, (*d_body, *at_zero(flags)), flags)
        # if examples end at different times, each has a separate carry
        found = [True] * len(flags) if new_cond.outs[0] is not None else [d is not None for d in new_body.outs]
        return found, (new_cond, new_body)

    mapped, (new_cond, new_body) = settle(tuple(d is not None for d in d_carry), step)
    carry = [batch_to(x, d, size) if m else x for x, d, m in zip(carry, d_carry, mapped)]
    cond_args, body_args = [*new_cond.consts, *cond_consts], [*new_body.consts, *body_consts]
    if new_cond.outs[0] is None:
        outs = while_loop(new_cond.graph, new_body.graph, cond_args, body_args, carry)
    else:
        any_left = _any_left(new_cond.graph)
        masked = _masked(new_body.graph, new_cond.graph, len(cond_args), len(body_args))
        body_args = [*masked.consts, *cond_args, *body_args]
        outs = while_loop(any_left.graph, masked.graph, [*any_left.consts, *cond_args], body_args, carry)
    return outs, at_zero(mapped)


@cached
def _any_left(cond: Graph) -> Transformed:
    """Whether a mapped condition holds for any example."""
    new, consts = stage(lambda *flat: [reduce_or(eval_graph(cond, flat)[0], (0,))], cond.in_avals)
    return Transformed(new, consts, None)


@cached
def _masked(body: Graph, cond: Graph, num_cond: int, num_body: int) -> Transformed:
    """``body`` for the examples for which ``cond`` still holds; the others keep their values."""

    def run(*flat: Any) -> list[Any]:
        cond_consts, body_consts, carry = parts(flat, num_cond, num_body)
        (going,) = eval_graph(cond, [*cond_consts, *carry])
        found = eval_graph(body, [*body_consts, *carry])
        return [select_n(broadcast_in_dim(going, aval_of(x).shape, (0,)), old, x) for old, x in zip(carry, found)]

    new, consts = stage(run, [*cond.in_avals[:num_cond], *body.in_avals])
    return Transformed(new, consts, None)


# --- partial evaluation ----------------------------------------------------------------------------------------------


def _partial(trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """Runs the values that depend on no unknown now, and records the whole loop for the others.

    A tangent's loop cannot be split from its value's: nothing says how many residuals there would be.
    """
    cond, body = params["cond"], params["body"]
    cond_consts, body_consts, carry = parts(args, params["num_cond_consts"], params["num_body_consts"])
    un_cond, un_body, un_carry = parts(unknown, params["num_cond_consts"], params["num_body_consts"])

    def step(flags: Flags) -> tuple[Sequence[bool], Split]:
        split = split_once(body, (*un_body, *flags), flags, trace.linear)
        return split.unknown_out, split

    un_carry, split = settle(tuple(un_carry), step)
    read = {a for e in cond.eqns for a in e.inputs} | set(cond.outputs)
    if any(v in read for v, u in zip(cond.inputs, (*un_cond, *un_carry)) if u):
        return trace.recorder.process(while_p, list(args), params)
    known_body = remove_dead(split.known.replace(outputs=split.known.outputs[: un_carry.count(False)]))
    with tracing(trace.parent):
        known = while_loop(
            cond.replace(inputs=tuple(where_not((*un_cond, *un_carry), cond.inputs))),
            known_body,
            where_not(un_cond, cond_consts),
            [*split.consts, *where_not(un_body, body_consts)],
            where_not(un_carry, carry),
        )
    recorded = trace.recorder.process(while_p, list(args), params)
    return merge(un_carry, known, where(un_carry, recorded))


def _mil(ctx: Any, *values: Any, cond: Graph, body: Graph, num_cond_consts: int, num_body_consts: int) -> list[Any]:
    cond_consts, body_consts, carry = parts(values, num_cond_consts, num_body_consts)
    return ctx.emit_aj(
        body=ctx.function("while_body", body), body_consts=body_consts, carry=carry,
        cond=ctx.function("while_cond", cond), cond_consts=cond_consts,
    )  # fmt: skip


while_p.fill(
    abstract=_abstract,
    impl=_impl,
    jvp=_jvp,
    transpose=Refused(
        "reverse mode needs the values of every turn, and a while loop does not say how many there will be; use"
        " lax.scan, or lax.fori_loop with Python integers as bounds"
    ),
    batch=_batch,
    mil=_mil,
    partial=_partial,
)
