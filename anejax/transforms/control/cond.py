"""cond: runs one of several branches, chosen by an index.

    branches[clamp(index, 0, len(branches) - 1)](*operands)

Every branch takes all operands and returns results of the same types.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.context import tracing
from anejax.core.graph import Atom, Graph, Var
from anejax.core.primitive import Linear, Primitive, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError
from anejax.ops.arithmetic import clamp, eq
from anejax.ops.families import batch_to, instantiate, zeros
from anejax.transforms.calls import Transformed, batch_graph, cached, jvp_graph, split_once
from anejax.transforms.control.chosen import of_chosen, run_where_chosen
from anejax.transforms.evaluate import eval_graph
from anejax.transforms.linearize import PartialTrace, Split, backward_mixed
from anejax.transforms.parts import Flags, check_types, merge, nonzero, parts, where, where_not
from anejax.transforms.stage import stage

cond_p = Primitive("cond", multiple_results=True, higher_order=True)

Branches = tuple[Graph, ...]


def cond(branches: Sequence[tuple[Graph, Sequence[Any]]], index: Any, operands: Sequence[Any]) -> list[Any]:
    """The results of the chosen branch. A branch is a Graph with the values of its first inputs."""
    consts = [c for _, own in branches for c in own]
    joined, start = [], 0
    for graph, own in branches:
        given = tuple(Var(aval_of(c)) for c in consts)
        inputs = (*given[:start], *graph.inputs[: len(own)], *given[start + len(own) :], *graph.inputs[len(own) :])
        joined.append(graph.replace(inputs=inputs))
        start += len(own)
    return cond_p.bind(index, *consts, *operands, branches=tuple(joined))


def _abstract(index: Aval, *operands: Aval, branches: Branches) -> list[Aval]:
    if str(index) != "int32[]":
        raise DtypeError(f"[cond] expected an index of type int32[], got {index}.")
    for i, branch in enumerate(branches):
        check_types("cond", f"operands of branch {i}", operands, branch.in_avals)
        check_types("cond", f"results of branch {i}", branches[0].out_avals, branch.out_avals)
    return branches[0].out_avals


def run_branch(index: DeviceArray, *operands: DeviceArray, branches: Branches) -> list[Any]:
    chosen = branches[min(max(int(index.value), 0), len(branches) - 1)]
    return eval_graph(chosen, operands)


def _out_flags(found: Sequence[Sequence[bool]]) -> Flags:
    """A flag of an output is true if it is true in any branch."""
    return tuple(map(any, zip(*found)))


# --- derivatives forward, and batches --------------------------------------------------------------------------------


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, branches: Branches) -> tuple[list[Any], list[Any]]:
    index, *operands = primals
    nz = nonzero(tangents[1:])
    flags = _out_flags([jvp_graph(b, nz).outs for b in branches])
    new = [jvp_graph(b, nz, flags) for b in branches]
    outs = cond([(n.graph, n.consts) for n in new], index, [*operands, *where(nz, tangents[1:])])
    values, found = parts(outs, len(flags))
    return values, merge(flags, [Zero(a.tangent()) for a in where_not(flags, branches[0].out_avals)], found)


def _batch(size: int, args: Sequence[Any], dims: Sequence[int | None], *, branches: Branches) -> tuple[list, list]:
    index, *operands = args
    if dims[0] is not None:
        return _batch_index(size, args, dims, branches)
    no = (False,) * len(branches[0].outputs)
    flags = _out_flags([[d is not None for d in batch_graph(b, size, tuple(dims[1:]), no).outs] for b in branches])
    new = [batch_graph(b, size, tuple(dims[1:]), flags) for b in branches]
    return cond([(n.graph, n.consts) for n in new], index, operands), [0 if f else None for f in flags]


def _batch_index(size: int, args: Sequence[Any], dims: Sequence[int | None], branches: Branches) -> tuple[list, list]:
    """Examples choose differently: all branches run, and each example takes its own."""
    index = clamp(np.int32(0), batch_to(args[0], dims[0], size), np.int32(len(branches) - 1))
    outs: list[Any] = []
    for i, branch in enumerate(branches):
        chosen = eq(index, np.int32(i))
        found = run_where_chosen(branch, chosen, args[1:], dims[1:], size)
        outs = [of_chosen(chosen, x, other) for x, other in zip(found, outs)] if outs else found
    return outs, [0] * len(outs)


# --- partial evaluation ----------------------------------------------------------------------------------------------


class _SplitBranches(NamedTuple):
    known: list[tuple[Graph, list[Any]]]  # known operands -> known results, then one value per residual slot
    unknown: Branches  # residual slots, known operands, unknown operands -> unknown results
    unknown_out: Flags
    slots: list[Aval]


def _partial(trace: PartialTrace, unknown: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> list[Any]:
    """The chosen branch's known part runs now and leaves its residuals in slots that all branches share."""
    if unknown[0]:
        return trace.recorder.process(cond_p, list(args), params)
    un = tuple(unknown[1:])
    split = _split_branches(params["branches"], un, trace.linear)
    known_in = where_not(un, args[1:])
    with tracing(trace.parent):
        outs = cond(split.known, args[0], known_in)
    known, residuals = parts(outs, split.unknown_out.count(False))
    inputs = [args[0], *residuals, *known_in, *where(un, args[1:])]
    recorded = trace.recorder.process(cond_p, inputs, {"branches": split.unknown})
    return merge(split.unknown_out, known, recorded)


def _split_branches(branches: Branches, un: Flags, linear: bool) -> _SplitBranches:
    flags = _out_flags([split_once(b, un, (), linear).unknown_out for b in branches])
    splits = [split_once(b, un, flags, linear) for b in branches]
    slots: list[Aval] = []
    placed = [_place(split, slots) for split in splits]
    known = [_known(split, places, slots) for split, places in zip(splits, placed)]
    unknown = tuple(_unknown(split, places, slots, un) for split, places in zip(splits, placed))
    return _SplitBranches(known, unknown, flags, slots)


def _place(split: Split, slots: list[Aval]) -> list[int | None]:
    """The slot of each residual, None for one that is an operand anyway; new slots are added where types lack one."""
    operands = set(split.known.inputs[len(split.consts) :])
    taken: set[int] = set()
    places: list[int | None] = []
    for atom in _residuals(split):
        if atom in operands:
            places.append(None)
            continue
        free = (i for i, a in enumerate(slots) if i not in taken and a.same_type(atom.aval))
        place = next(free, len(slots))
        if place == len(slots):
            slots.append(atom.aval.strong())
        taken.add(place)
        places.append(place)
    return places


def _residuals(split: Split) -> tuple[Atom, ...]:
    return split.known.outputs[split.unknown_out.count(False) :]


def _known(split: Split, places: Sequence[int | None], slots: Sequence[Aval]) -> tuple[Graph, list[Any]]:
    """The known part with a result in every slot: zeros where the branch has no residual for it."""
    count = split.unknown_out.count(False)

    def run(*flat: Any) -> list[Any]:
        outs = eval_graph(split.known, [*split.consts, *flat])
        filled = {p: x for p, x in zip(places, outs[count:]) if p is not None}
        return [*outs[:count], *(filled[i] if i in filled else zeros(a) for i, a in enumerate(slots))]

    return stage(run, split.known.in_avals[len(split.consts) :])


def _unknown(split: Split, places: Sequence[int | None], slots: Sequence[Aval], un: Flags) -> Graph:
    slot_vars = [Var(a) for a in slots]
    operands = split.known.inputs[len(split.consts) :]
    operand_vars = [Var(v.aval) for v in operands]
    own, rest = parts(split.unknown.inputs, split.num_residuals)
    for var, place, atom in zip(own, places, _residuals(split)):
        if place is None:
            operand_vars[operands.index(atom)] = var  # type: ignore[arg-type]
        else:
            slot_vars[place] = var
    return split.unknown.replace(inputs=(*slot_vars, *operand_vars, *rest))


# --- transposition ---------------------------------------------------------------------------------------------------


def _transpose(cts: Sequence[Any], *args: Any, branches: Branches) -> list[Any]:
    index, *operands = args
    linear = tuple(isinstance(a, Linear) for a in operands)
    nz = nonzero(cts)
    new = [_transposed(b, linear, nz) for b in branches]
    outs = cond([(n.graph, n.consts) for n in new], index, [*where_not(linear, operands), *where(nz, cts)])
    return [None, *merge(linear, [None] * len(operands), outs)]


@cached
def _transposed(branch: Graph, linear: Flags, nz: Flags) -> Transformed:
    """Inputs: the operands that are not linear, then cotangents where ``nz``. Outputs: one for each linear operand."""

    def run(*flat: Any) -> list[Any]:
        fixed, cts = parts(flat, linear.count(False))
        args = merge(linear, fixed, [Linear(a) for a in where(linear, branch.in_avals)])
        all_cts = merge(nz, [Zero(a.tangent()) for a in where_not(nz, branch.out_avals)], cts)
        return list(map(instantiate, where(linear, backward_mixed(branch, args, all_cts))))

    avals = [*where_not(linear, branch.in_avals), *(a.tangent() for a in where(nz, branch.out_avals))]
    new, captured = stage(run, avals)
    return Transformed(new, captured, None)


def _mil(ctx: Any, index: Any, *operands: Any, branches: Branches) -> list[Any]:
    names = [ctx.function("branch", b) for b in branches]
    return ctx.emit_aj(branches=names, index=index, operands=list(operands))


cond_p.fill(
    abstract=_abstract, impl=run_branch, jvp=_jvp, transpose=_transpose, batch=_batch, mil=_mil, partial=_partial
)
