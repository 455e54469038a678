"""Moves sums that a scan only accumulates behind the scan.

    c = scan[body={ c + a[t]' b[t] }]     ->     c = c + (a[0]; a[1]; ...)' (b[0]; b[1]; ...)

The gradient of a weight that every turn of a loop uses has this form. One product of all turns is as fast as other
large products, and no turn reads and writes the sum. Operands that are not stacked yet must be stacked for it, so a sum
moves only if

* a turn stacks at most a quarter of the sum's size, because summing in place reads and writes all of the sum, but in
  cache (docs/performance.md has the measurement), and
* everything that is stacked for sums takes at most as much memory as the xs and ys that the loop has anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from anejax import dtypes
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var, map_subgraphs, remove_dead
from anejax.core.primitive import Primitive
from anejax.marks import Mark
from anejax.ops.arithmetic import add_p
from anejax.ops.elementwise import convert_element_type_p
from anejax.ops.families import broadcast_in_dim_p
from anejax.ops.index import ScatterDimensionNumbers, scatter_add_p
from anejax.ops.linear import Dims, dot_general_p, free_dims
from anejax.ops.reduce import reduce_sum_p
from anejax.ops.shape import concatenate_p, reshape_p, transpose_p
from anejax.passes.bodies import prune_loops
from anejax.passes.inline import inline
from anejax.passes.simplify import simplify
from anejax.transforms.control.scan import scan_p, stacked
from anejax.transforms.parts import parts, where, where_not

WORTH = 4  # a sum moves when it has so many times what each turn stacks for it


def move_sums(graph: Graph, target: str = "cpu") -> Graph:
    """``graph`` with sums that scans only accumulate moved to equations behind the scans. Calls in their bodies are
    inlined as for ``target``."""
    if not any(e.primitive is scan_p for e in graph.eqns):
        return graph
    env: dict[Var, Atom] = {}
    zeros: set[Atom] = set()
    eqns: list[Eqn] = []
    for eqn in graph.eqns:
        eqn = eqn.replace(inputs=tuple(_look_up(env, a) for a in eqn.inputs))
        if eqn.primitive is scan_p:
            body = lambda b: move_sums(prune_loops(simplify(inline(b, target))), target)  # noqa: E731
            eqns += _scan(eqn.replace(params=map_subgraphs(eqn.params, body)), zeros, env)
            continue
        if _makes_zeros(eqn):
            zeros.update(eqn.outputs)
        eqns.append(eqn)
    outputs = tuple(_look_up(env, a) for a in graph.outputs)
    return prune_loops(graph.replace(eqns=tuple(eqns), outputs=outputs))


def _look_up(env: dict[Var, Atom], atom: Atom) -> Atom:
    return env.get(atom, atom) if isinstance(atom, Var) else atom


def _is_zero(atom: Atom) -> bool:
    return isinstance(atom, Literal) and not atom.aval.shape and not atom.value


def _makes_zeros(eqn: Eqn) -> bool:
    return eqn.primitive is broadcast_in_dim_p and _is_zero(eqn.inputs[0])


def _scan(eqn: Eqn, zeros: set[Atom], env: dict[Var, Atom]) -> list[Eqn]:
    """``eqn`` without the sums that move, and the equations that take them."""
    loop = _Loop(eqn)
    moved = loop.choose()
    if not moved:
        return [eqn]
    body, counts = eqn.params["body"], (eqn.params["num_consts"], eqn.params["num_carry"])
    stays = [k not in moved for k in range(counts[1])]
    consts, carry, xs = parts(body.inputs, *counts)
    new, ys = parts(body.outputs, counts[1])
    body = body.replace(inputs=(*consts, *where(stays, carry), *xs), outputs=(*where(stays, new), *ys, *loop.added))
    consts, carry, xs = parts(eqn.inputs, *counts)
    results, ys = parts(eqn.outputs, counts[1])
    short = eqn.replace(
        inputs=(*consts, *where(stays, carry), *xs),
        outputs=(*where(stays, results), *ys, *(loop.stacks[v] for v in loop.added)),
        params={**eqn.params, "body": remove_dead(body), "num_carry": sum(stays)},
    )
    after = _Writer(loop)
    for k, first, result in zip(moved, where_not(stays, carry), where_not(stays, results)):
        total = moved[k].write(after)
        if not (first in zeros or _is_zero(first)) or not total.aval.same_type(result.aval):
            total = after.bind(add_p, (first, total), {})
        env[result] = total
    return [short, *after.eqns]


class _Sum(NamedTuple):
    """A sum over all turns: the values of the body that have to be stacked for it, and what writes it down."""

    reads: tuple[Var, ...]
    write: Callable[[_Writer], Atom]


class _Loop:
    """A scan seen from behind: which values of its body are stacked, and which sums over its turns can be written."""

    def __init__(self, eqn: Eqn) -> None:
        body: Graph = eqn.params["body"]
        counts = eqn.params["num_consts"], eqn.params["num_carry"]
        self.mark, self.length = eqn.mark, eqn.params["length"]
        self.made_by = {v: e for e in body.eqns for v in e.outputs}
        self.uses = Counter(a for atoms in (*(e.inputs for e in body.eqns), body.outputs) for a in atoms)
        in_consts, in_carry, in_xs = parts(body.inputs, *counts)
        out_carry, out_ys = parts(body.outputs, counts[1])
        consts, _, xs = parts(eqn.inputs, *counts)
        _, ys = parts(eqn.outputs, counts[1])
        self.consts: dict[Atom, Atom] = dict(zip(in_consts, consts))
        self.stacks: dict[Atom, Atom] = {**dict(zip(out_ys, ys)), **dict(zip(in_xs, xs))}
        self.spare = sum(a.aval.nbytes for a in self.stacks)  # bytes a turn
        self.carry = list(zip(in_carry, out_carry))
        self.added: list[Var] = []

    def choose(self) -> dict[int, _Sum]:
        """The sums that move, by the number of their carry; what they read is in ``stacks`` then."""
        open_ = {k: found for k, (old, new) in enumerate(self.carry) if (found := self._accumulated(old, new))}
        moved: dict[int, _Sum] = {}
        while True:  # a value that one sum stacks is free for the others
            fits = [k for k, found in open_.items() if self._fits(self.carry[k][0], found.reads)]
            if not fits:
                return dict(sorted(moved.items()))
            moved[fits[0]] = found = open_.pop(fits[0])
            for v in self._missing(found.reads):
                self.spare -= v.aval.nbytes
                self.stacks[v] = Var(stacked(v.aval, self.length))
                self.added.append(v)

    def _missing(self, reads: Iterable[Var]) -> list[Var]:
        return [v for v in dict.fromkeys(reads) if v not in self.stacks]

    def _fits(self, carry: Var, reads: Iterable[Var]) -> bool:
        new = sum(v.aval.nbytes for v in self._missing(reads))
        return new == 0 or (WORTH * new <= carry.aval.nbytes and new <= self.spare)

    def _accumulated(self, old: Var, new: Atom) -> _Sum | None:
        """The sum of the values that each turn adds to the carry, if the carry has no other use."""
        if self.uses[old] != 1:
            return None
        terms = self._terms(new)
        if len(terms) < 2 or old not in terms:
            return None
        return _joined([self.total(t) for t in terms if t is not old])

    def _terms(self, atom: Atom) -> list[Atom]:
        eqn = self.once(atom)
        if eqn is None or eqn.primitive is not add_p:
            return [atom]
        return [t for a in eqn.inputs for t in self._terms(a)]

    def once(self, atom: Atom) -> Eqn | None:
        """The equation that makes ``atom``, when it is read in one place."""
        return self.made_by.get(atom) if isinstance(atom, Var) and self.uses[atom] == 1 else None

    def zeros(self, atom: Atom) -> Eqn | None:
        """The equation that makes ``atom``, when it makes zeros."""
        eqn = self.made_by.get(atom) if isinstance(atom, Var) else None
        return eqn if eqn is not None and _makes_zeros(eqn) else None

    def varies(self, atom: Atom) -> bool:
        return isinstance(atom, Var) and atom not in self.consts

    def total(self, atom: Atom) -> _Sum | None:
        """The sum of ``atom`` over all turns, None for what is the same in each."""
        if not isinstance(atom, Var) or not self.varies(atom):
            return None
        eqn = self.once(atom)
        found = RULES.get(eqn.primitive.name, _no_rule)(self, eqn) if eqn is not None else None
        if eqn is not None and found is not None:
            return _Sum(found.reads, lambda w: w.write(eqn.mark, found))
        return _Sum((atom,), lambda w: w.bind(reduce_sum_p, (w[atom],), {"axes": (0,)}))


class _Writer:
    """Equations behind a loop."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._mark = loop.mark
        self.eqns: list[Eqn] = []

    def __getitem__(self, atom: Atom) -> Atom:
        """A const of the body as the outer variable, or the stack of a value that varies."""
        loop = self._loop
        return atom if isinstance(atom, Literal) else loop.stacks[atom] if loop.varies(atom) else loop.consts[atom]

    def bind(self, primitive: Primitive, inputs: Iterable[Atom], params: dict[str, Any]) -> Var:
        inputs = tuple(inputs)
        (aval,) = primitive.out_avals([a.aval for a in inputs], params)
        self.eqns.append(Eqn(primitive, inputs, (Var(aval),), params, self._mark))
        return self.eqns[-1].outputs[0]

    def write(self, mark: Mark, total: _Sum) -> Atom:
        """Writes a sum of the results of an equation of the body with this ``mark``."""
        outer, self._mark = self._mark, mark.within(self._loop.mark)
        written = total.write(self)
        self._mark = outer
        return written

    def again(self, eqn: Eqn) -> Var:
        """The result of an equation of literals, bound again."""
        return self.bind(eqn.primitive, eqn.inputs, eqn.params)


def _joined(sums: list[_Sum | None]) -> _Sum | None:
    """The sum of sums, if there are all."""
    found = [s for s in sums if s is not None]
    if len(found) != len(sums):
        return None

    def write(w: _Writer) -> Atom:
        total, *rest = [s.write(w) for s in found]
        for other in rest:
            total = w.bind(add_p, (total, other), {})
        return total

    return _Sum(tuple(v for s in found for v in s.reads), write)


# --- rules: (loop, the equation that makes a value read once) -> its sum over all turns, or None ----------------------


def _no_rule(loop: _Loop, eqn: Eqn) -> _Sum | None:
    return None


def _dot_general(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """If both operands vary from turn to turn, contracts over time as well."""
    if not all(map(loop.varies, eqn.inputs)):
        return _linear(loop, eqn)
    contracting, batch = eqn.params["dimension_numbers"]
    (x, xc, xb), (y, yc, yb) = (_upright(loop, *side) for side in zip(eqn.inputs, contracting, batch))
    params = {**eqn.params, "dimension_numbers": (((0, *_up(xc)), (0, *_up(yc))), (_up(xb), _up(yb)))}
    return _Sum((x, y), lambda w: w.bind(dot_general_p, (w[x], w[y]), params))


def _upright(loop: _Loop, x: Any, contracting: Dims, batch: Dims) -> tuple[Var, Dims, Dims]:
    """An operand, with its axes, before it is transposed, if its free axes come in the same order there."""
    eqn = loop.made_by.get(x)
    if eqn is None or eqn.primitive is not transpose_p:
        return x, contracting, batch
    permutation = eqn.params["permutation"]
    free, contracting_, batch_ = (
        tuple(permutation[a] for a in axes)
        for axes in (free_dims(len(permutation), contracting, batch), contracting, batch)
    )
    (before,) = eqn.inputs
    if isinstance(before, Var) and free == tuple(sorted(free)):
        return before, contracting_, batch_
    return x, contracting, batch


def _convert(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """Sums in the wider type after a conversion, since the narrow one might not hold the sum."""
    (x,), dtype = eqn.inputs, eqn.params["dtype"]
    given = x.aval.dtype
    if given not in dtypes.FLOATS or dtype not in dtypes.FLOATS or dtype.itemsize < given.itemsize:
        return None
    return _widened(loop, x, eqn.params)


def _widened(loop: _Loop, atom: Any, params: dict[str, Any]) -> _Sum:
    """The sum of ``atom`` over all turns in a wider type. The stacked values are still narrow."""
    convert = lambda w, x: w.bind(convert_element_type_p, (x,), params)  # noqa: E731
    eqn = loop.once(atom)
    name = eqn.primitive.name if eqn is not None else None
    found = None
    if eqn is not None and name == "dot_general" and all(map(loop.varies, eqn.inputs)):
        wide = {**eqn.params, "preferred_element_type": params["dtype"]}
        found = _dot_general(loop, eqn.replace(params=wide))
    elif eqn is not None and name in PLACES:
        found = PLACES[name](loop, eqn, convert)
    elif eqn is not None and (name in MOVES or (name == "pad" and _is_zero(eqn.inputs[1]))):
        first, *zero = eqn.inputs
        inner = _widened(loop, first, params)
        found = _Sum(
            inner.reads,
            lambda w: w.bind(eqn.primitive, (inner.write(w), *(convert(w, z) for z in zero)), eqn.params),
        )
    return found or _Sum((atom,), lambda w: w.bind(reduce_sum_p, (convert(w, w[atom]),), {"axes": (0,)}))


def _reduce_sum(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """Time is one more axis to sum over."""
    (x,) = eqn.inputs
    axes = {"axes": (0, *_up(eqn.params["axes"]))}
    return _Sum((x,), lambda w: w.bind(reduce_sum_p, (w[x],), axes)) if isinstance(x, Var) else None


def _add(loop: _Loop, eqn: Eqn) -> _Sum | None:
    return _joined([loop.total(a) for a in eqn.inputs])


def _linear(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """Applies an operation once, to the sum, if it is linear in one operand and the others are equal in each turn."""
    varying = [i for i, a in enumerate(eqn.inputs) if loop.varies(a)]
    inner = loop.total(eqn.inputs[varying[0]]) if len(varying) == 1 else None
    if inner is None:
        return None

    def write(w: _Writer) -> Atom:
        total = inner.write(w)
        inputs = (total if i in varying else w[a] for i, a in enumerate(eqn.inputs))
        return w.bind(eqn.primitive, inputs, eqn.params)

    return _Sum(inner.reads, write)


def _div(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """Integers are not divided linearly."""
    x, _ = eqn.inputs
    return _linear(loop, eqn) if loop.varies(x) and dtypes.is_inexact(x.aval.dtype) else None


def _pad(loop: _Loop, eqn: Eqn) -> _Sum | None:
    """Zeros around something."""
    return _linear(loop, eqn) if _is_zero(eqn.inputs[1]) else None


def _as_it_is(w: _Writer, x: Atom) -> Atom:
    return x


def _scatter_add(loop: _Loop, eqn: Eqn, convert: Callable[[_Writer, Atom], Atom] = _as_it_is) -> _Sum | None:
    """To zeros: all turns are added to the same ones, by indices and updates with time as their first axis."""
    zeros, (_, indices, updates) = loop.zeros(eqn.inputs[0]), eqn.inputs
    if zeros is None or not (loop.varies(indices) and loop.varies(updates)):
        return None
    dn = eqn.params["dimension_numbers"]
    numbers = dn._replace(
        update_window_dims=_up(dn.update_window_dims),
        scatter_indices_batching_dims=_up(dn.scatter_indices_batching_dims),
    )
    params = {**eqn.params, "dimension_numbers": numbers, "unique_indices": False}
    reads = tuple(a for a in (indices, updates) if isinstance(a, Var))
    return _Sum(
        reads, lambda w: w.bind(scatter_add_p, (convert(w, w.again(zeros)), w[indices], convert(w, w[updates])), params)
    )


def _dynamic_update_slice(loop: _Loop, eqn: Eqn, convert: Callable[[_Writer, Atom], Atom] = _as_it_is) -> _Sum | None:
    """Updates of zeros become a scatter of one window for each turn."""
    zeros, (x, update, *starts) = loop.zeros(eqn.inputs[0]), eqn.inputs
    if zeros is None or not loop.varies(update) or len({a.aval.dtype for a in starts}) != 1:
        return None
    rank, turns = x.aval.ndim, loop.length
    numbers = ScatterDimensionNumbers(_up(range(rank)), (), tuple(range(rank)))
    params = {"dimension_numbers": numbers, "mode": "clip", "unique_indices": False}

    def column(w: _Writer, start: Atom) -> Var:
        if loop.varies(start):
            return w.bind(reshape_p, (w[start],), {"new_sizes": (turns, 1)})
        return w.bind(broadcast_in_dim_p, (w[start],), {"shape": (turns, 1), "broadcast_dimensions": ()})

    def write(w: _Writer) -> Atom:
        indices = w.bind(concatenate_p, [column(w, s) for s in starts], {"dimension": 1})
        return w.bind(scatter_add_p, (convert(w, w.again(zeros)), indices, convert(w, w[update])), params)

    return _Sum(tuple(a for a in (update, *starts) if isinstance(a, Var) and loop.varies(a)), write)


def _up(axes: Iterable[int]) -> tuple[int, ...]:
    return tuple(a + 1 for a in axes)


PLACES = {"dynamic_update_slice": _dynamic_update_slice, "scatter_add": _scatter_add}
MOVES = frozenset({"broadcast_in_dim", "neg", "reshape", "rev", "slice", "transpose"})

RULES: dict[str, Callable[[_Loop, Eqn], _Sum | None]] = {
    "dot_general": _dot_general,
    "convert_element_type": _convert,
    "reduce_sum": _reduce_sum,
    "add": _add,
    "mul": _linear,
    "div": _div,
    "pad": _pad,
    **PLACES,
    **dict.fromkeys(MOVES, _linear),
}
