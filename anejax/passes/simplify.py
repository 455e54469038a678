"""Simplification: common subexpressions, dead equations, and algebra that never changes a bit of any result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, remove_dead
from anejax.ops.families import broadcast_in_dim_p

OPAQUE = frozenset({"optimization_barrier"})  # neither merged nor looked through


def simplify(graph: Graph) -> Graph:
    """``graph`` computed with fewer equations; results are identical to the bit."""
    return remove_dead(_forward(graph))


def _forward(graph: Graph) -> Graph:
    """One walk: substitute, rewrite, merge equal equations."""
    env: dict[Var, Atom] = {}
    made_by: dict[Var, Eqn] = {}
    seen: dict[Any, Eqn] = {}
    eqns: list[Eqn] = []
    look_up = lambda a: env.get(a, a) if isinstance(a, Var) else a  # noqa: E731
    for eqn in graph.eqns:
        eqn = eqn.replace(inputs=tuple(look_up(a) for a in eqn.inputs))
        eqn, same = _rewrite(eqn, made_by)
        if same is not None:
            env[eqn.outputs[0]] = same
            continue
        key = _identity(eqn)
        earlier = seen.get(key) if key is not None else None
        if earlier is not None:
            env.update(zip(eqn.outputs, earlier.outputs))
            continue
        if key is not None:
            seen[key] = eqn
        made_by.update((v, eqn) for v in eqn.outputs)
        eqns.append(eqn)
    return graph.replace(eqns=tuple(eqns), outputs=tuple(look_up(a) for a in graph.outputs))


def _identity(eqn: Eqn) -> Any:
    """A key that is equal for equations that compute the same, or None for equations that must stay separate."""
    if eqn.primitive.effect or eqn.primitive.name in OPAQUE:
        return None
    inputs = tuple(a.key() if isinstance(a, Literal) else a for a in eqn.inputs)
    try:
        key = (eqn.primitive, inputs, tuple(sorted(eqn.params.items())), tuple(v.aval for v in eqn.outputs))
        hash(key)
    except TypeError:
        return None
    return key


def _rewrite(eqn: Eqn, made_by: dict[Var, Eqn]) -> tuple[Eqn, Atom | None]:
    """(a simpler equation, None), or (the equation, the atom that equals its one output)."""
    repeated = [_repeated(a, made_by) for a in eqn.inputs]
    if eqn.primitive.elementwise and None not in repeated:
        return _folded(eqn, [a for a in repeated if a is not None])
    rule = RULES.get(eqn.primitive.name)
    result = rule(eqn, made_by) if rule is not None else None
    if isinstance(result, (Var, Literal)):
        return eqn, result
    return result or eqn, _evaluated(result or eqn)


def _evaluated(eqn: Eqn) -> Literal | None:
    """The result of an equation of constants, of which one at least is an array: of weights that were frozen."""
    if not all(isinstance(a, Literal) for a in eqn.inputs) or not any(a.aval.shape for a in eqn.inputs):
        return None
    prim, grows = eqn.primitive, sum(v.aval.size for v in eqn.outputs) > sum(a.aval.size for a in eqn.inputs)
    if prim.multiple_results or prim.higher_order or prim.effect or prim.name in OPAQUE or grows:
        return None
    aval = eqn.outputs[0].aval.strong()
    with np.errstate(all="ignore"):
        value = prim.impl(*(a.value for a in eqn.inputs if isinstance(a, Literal)), **eqn.params)
    return Literal(np.asarray(value, aval.dtype), aval)


def _source(atom: Atom, name: str, made_by: dict[Var, Eqn]) -> Eqn | None:
    eqn = made_by.get(atom) if isinstance(atom, Var) else None
    return eqn if eqn is not None and eqn.primitive.name == name else None


def _same_type(atom: Atom, eqn: Eqn) -> bool:
    return atom.aval.same_type(eqn.outputs[0].aval)


def _repeated(atom: Atom, made_by: dict[Var, Eqn]) -> Literal | None:
    """The literal that every element of ``atom`` equals, if the Graph shows it."""
    made = _source(atom, "broadcast_in_dim", made_by)
    found = atom if made is None else made.inputs[0]
    return found if isinstance(found, Literal) and not found.aval.shape else None


def _folded(eqn: Eqn, operands: list[Literal]) -> tuple[Eqn, Atom | None]:
    """An elementwise equation of literals is the literal that the eager evaluation would give; of literals that are
    broadcast, that literal broadcast."""
    aval = eqn.outputs[0].aval
    with np.errstate(all="ignore"):
        value = np.asarray(eqn.primitive.impl(*(a.value for a in operands), **eqn.params), aval.dtype)
    literal = Literal(value, aval.update(shape=()))
    if not aval.shape:
        return eqn, literal
    params = {"shape": aval.shape, "broadcast_dimensions": ()}
    return eqn.replace(primitive=broadcast_in_dim_p, inputs=(literal,), params=params), None


# --- rules: (equation, who made what) -> a simpler equation, an equal atom, or None -----------------------------


def _transpose(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | Atom | None:
    """transpose(transpose(x)) -> transpose(x); the identity permutation -> x"""
    permutation = eqn.params["permutation"]
    inner = _source(eqn.inputs[0], "transpose", made_by)
    if inner is not None:
        permutation = tuple(inner.params["permutation"][p] for p in permutation)
        eqn = eqn.replace(inputs=inner.inputs, params={"permutation": permutation})
    if permutation == tuple(range(len(permutation))):
        return eqn.inputs[0]
    return eqn if inner is not None else None


def _reshape(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | Atom | None:
    """reshape(reshape(x)) -> reshape(x); to the shape it has -> x"""
    inner = _source(eqn.inputs[0], "reshape", made_by)
    if inner is not None:
        eqn = eqn.replace(inputs=inner.inputs)
    if _same_type(eqn.inputs[0], eqn):
        return eqn.inputs[0]
    return eqn if inner is not None else None


def _convert(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | Atom | None:
    """convert to the dtype it has -> x (weak types do not matter any more)"""
    return eqn.inputs[0] if eqn.inputs[0].aval.dtype == eqn.params["dtype"] else None


def _neg(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | Atom | None:
    """neg(neg(x)) -> x"""
    inner = _source(eqn.inputs[0], "neg", made_by)
    return inner.inputs[0] if inner is not None else None


def _is(atom: Atom, value: float) -> bool:
    return isinstance(atom, Literal) and not atom.aval.shape and bool(atom.value == value)


def _unit(value: float, sides: tuple[int, ...]) -> Callable[[Eqn, dict[Var, Eqn]], Eqn | Atom | None]:
    """x op unit -> x (and unit op x where ``sides`` has 0), when the type stays."""

    def rule(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | Atom | None:
        for side in sides:
            other = eqn.inputs[1 - side]
            if _is(eqn.inputs[side], value) and _same_type(other, eqn):
                return other
        return _scalars(eqn, made_by)

    return rule


def _scalars(eqn: Eqn, made_by: dict[Var, Eqn]) -> Eqn | None:
    """op(x, broadcast(scalar)) -> op(x, scalar), while another operand still shows the shape"""
    shape = eqn.outputs[0].aval.shape
    inputs = list(eqn.inputs)
    for i, atom in enumerate(inputs):
        made = _source(atom, "broadcast_in_dim", made_by)
        others = [a for j, a in enumerate(inputs) if j != i]
        if made is not None and made.inputs[0].aval.shape == () and any(o.aval.shape == shape for o in others):
            inputs[i] = made.inputs[0]
    return eqn.replace(inputs=tuple(inputs)) if tuple(inputs) != eqn.inputs else None


def _select(eqn: Eqn, made_by: dict[Var, Eqn]) -> Atom | None:
    """select_n of a condition that is known -> the chosen case"""
    which = _repeated(eqn.inputs[0], made_by)
    if which is None or not 0 <= int(which.value) < len(eqn.inputs) - 1:
        return None
    chosen = eqn.inputs[1 + int(which.value)]
    return chosen if _same_type(chosen, eqn) else None


def _identity_of_processes(eqn: Eqn, made_by: dict[Var, Eqn]) -> Atom:
    """Removes the mark that all processes have the same array, which only derivatives need."""
    return eqn.inputs[0]


RULES: dict[str, Callable[[Eqn, dict[Var, Eqn]], Eqn | Atom | None]] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "convert_element_type": _convert,
    "neg": _neg,
    "select_n": _select,
    "mul": _unit(1, (0, 1)),
    "div": _unit(1, (1,)),
    "sub": _unit(0, (1,)),  # x + 0 is left alone: it turns -0 into 0
    **dict.fromkeys(("process_enter", "process_leave"), _identity_of_processes),
    **dict.fromkeys(("add", "max", "min", "pow", "atan2", "rem"), _scalars),
    **dict.fromkeys(("eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor"), _scalars),
}
