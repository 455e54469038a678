"""The border between devices: writes casts, so that each crossing value is float16 and has rank 1 or more.

The engine's ports take neither float32 nor bool nor scalars (docs/sources.md, "Ports and dtypes"). Casts are ordinary
equations. On the CPU device they fuse with their neighbours; on the engine, where float32 becomes float16, they vanish.
A segment in this form runs on the CPU device unchanged, either with float32 inside or legalized.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anejax import dtypes
from anejax.core.aval import Aval
from anejax.core.context import base_trace, tracing
from anejax.core.graph import Atom, Eqn, Graph, Literal, Var
from anejax.marks import NOWHERE, Mark
from anejax.mil.chips import ROW_BYTES
from anejax.mil.limits import LIMITS
from anejax.ops.arithmetic import ne
from anejax.ops.elementwise import convert_element_type
from anejax.ops.families import broadcast_in_dim_p
from anejax.ops.shape import reshape
from anejax.partition.levels import CPU
from anejax.transforms.stage import stage

BORDER = dtypes.float16
FREE = frozenset({"reshape", "convert_element_type"})  # operations without work on the engine
EXTENT = min(figures.max_extent for figures in LIMITS.values())


def border_aval(aval: Aval) -> Aval:
    """The type of a value of ``aval`` while it crosses to or from a loop."""
    return Aval(aval.shape or (1,), BORDER)


def wide_aval(aval: Aval) -> Aval:
    """The type of any other value: if it is cast anyway, its last axes become one if its rows are shorter than the
    length to which the engine pads them. The 3 x 3 kernels of a weight would take ten times their size."""
    found = border_aval(aval)
    if crosses_as_it_is(aval):
        return found
    *lead, last = found.shape
    while lead and last < ROW_BYTES // BORDER.itemsize and last * lead[-1] <= EXTENT:
        last *= lead.pop()
    return Aval((*lead, last), BORDER)


def crosses_as_it_is(aval: Aval) -> bool:
    return aval.same_type(border_aval(aval))


def leave(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` in the form in which it crosses."""
    return reshape(convert_element_type(x, BORDER), shape)


def enter(x: Any, aval: Aval) -> Any:
    """The value of ``aval`` that crossed as ``x``."""
    x = reshape(x, aval.shape)
    return ne(x, np.zeros((), BORDER)) if aval.dtype == dtypes.bool_ else convert_element_type(x, aval.dtype)


def leaving(var: Var, mark: Mark = NOWHERE, form: Callable[[Aval], Aval] = wide_aval) -> tuple[tuple[Eqn, ...], Var]:
    """(equations, the variable in the form in which it crosses)."""
    return _applied(lambda x: leave(x, form(var.aval).shape), var, mark)


def entering(crossed: Var, aval: Aval, mark: Mark = NOWHERE) -> tuple[tuple[Eqn, ...], Var]:
    """(equations, the value of ``aval`` that crossed as ``crossed``)."""
    return _applied(lambda x: enter(x, aval), crossed, mark)


def _applied(function: Callable[[Any], Any], var: Var, mark: Mark) -> tuple[tuple[Eqn, ...], Var]:
    with tracing(base_trace()):
        graph, _ = stage(lambda x: [function(x)], [var.aval])
    (x,), (out,) = graph.inputs, graph.outputs
    eqns = tuple(e.replace(inputs=tuple(var if a is x else a for a in e.inputs), mark=mark) for e in graph.eqns)
    return eqns, var if out is x or not isinstance(out, Var) else out


@dataclass(frozen=True)
class Divided:
    """A Graph with casts where values change devices. Its inputs and outputs are the CPU device's.

    Attributes:
        sides: for each equation whose it is.
        origin: for each equation its index in the Graph without casts; None for casts.
    """

    graph: Graph
    sides: tuple[int, ...]
    origin: tuple[int | None, ...]

    def entering(self, side: int) -> dict[Var, int]:
        """The results of casts and reshapes of values that come to ``side`` from others, for ``side`` alone, and the
        indices of these equations."""
        outside = {a for a in self.graph.outputs if isinstance(a, Var)}
        for eqn, at in zip(self.graph.eqns, self.sides):
            outside.update(a for a in eqn.inputs if at != side and isinstance(a, Var))
        own: set[Var] = set()
        found: dict[Var, int] = {}
        for i, (eqn, at, origin) in enumerate(zip(self.graph.eqns, self.sides, self.origin)):
            repeats = origin is None or eqn.primitive.name in FREE
            if at == side and repeats and outside.isdisjoint(eqn.outputs) and own.isdisjoint(eqn.inputs):
                found.update((v, i) for v in eqn.outputs)
            elif at == side:
                own.update(eqn.outputs)
        return found


def with_casts(graph: Graph, sides: Sequence[int], loops: Mapping[int, Eqn]) -> Divided:
    """``graph`` with casts; ``sides`` says of each equation whose it is, ``loops`` of each loop its crossing form."""
    casts = _Casts(graph, sides, loops)
    for i, eqn in enumerate(graph.eqns):
        if i in loops:
            casts.add_loop(eqn, loops[i], sides[i], i)
        else:
            casts.add(eqn, sides[i], i)
    outputs = tuple(casts.read(a, CPU) for a in graph.outputs)
    eqns, new_sides, origin = zip(*casts.rows) if casts.rows else ((), (), ())
    return Divided(graph.replace(eqns=eqns, outputs=outputs), new_sides, origin)


class _Casts:
    """Writes equations down, and what each value is called on other sides.

    A value leaves right behind the equation that makes it, and enters before the first that reads it on a side, so
    that a long segment can be cut anywhere. Loops read and make values in the form in which they cross.
    """

    def __init__(self, graph: Graph, sides: Sequence[int], loops: Mapping[int, Eqn]) -> None:
        self.rows: list[tuple[Eqn, int, int | None]] = []
        self.made: dict[Var, int] = {}
        read: list[tuple[Atom, int]] = [(a, CPU) for a in graph.outputs]
        for i, (eqn, side) in enumerate(zip(graph.eqns, sides)):
            ins, outs = _ports(eqn, loops[i], side) if i in loops else (_all(eqn.inputs, side), _all(eqn.outputs, side))
            self.made.update(outs)
            read += ins
        self.abroad = {a for a, side in read if self.is_foreign(a, side)}
        self.of_loops = {a for i in loops for a in (*graph.eqns[i].inputs, *graph.eqns[i].outputs)}
        self.crossed: dict[Atom, Var] = {}
        self.entered: dict[tuple[Atom, int], Var] = {}
        self.leave(graph.inputs, CPU)

    def is_foreign(self, atom: Atom, side: int) -> bool:
        """Whether ``atom`` is made on another side than ``side``, and needs casts to be read there."""
        made_here = isinstance(atom, Literal) or self.made.get(atom, CPU) == side
        return not made_here and not crosses_as_it_is(atom.aval)

    def add(self, eqn: Eqn, side: int, origin: int) -> None:
        eqn = eqn.replace(inputs=tuple(self.read(a, side, eqn.mark) for a in eqn.inputs))
        self.rows.append((eqn, side, origin))
        self.leave(eqn.outputs, side, eqn.mark)

    def add_loop(self, eqn: Eqn, form: Eqn, side: int, origin: int) -> None:
        given = _ports(eqn, form, side)[0]
        inputs = tuple(self.port(a, s, p.aval) for (a, s), p in zip(given, form.inputs, strict=True))
        for v, port in zip(eqn.outputs, form.outputs):
            if not v.aval.same_type(port.aval):
                self.crossed[v] = port
        outputs = tuple(self.crossed.get(v, v) for v in eqn.outputs)
        self.rows.append((form.replace(inputs=inputs, outputs=outputs), side, origin))
        self.leave((v for v in eqn.outputs if v not in self.crossed), CPU, eqn.mark)

    def leave(self, made: Iterable[Var], side: int, mark: Mark = NOWHERE) -> None:
        for var in made:
            if var in self.abroad:
                form = border_aval if var in self.of_loops else wide_aval
                eqns, self.crossed[var] = leaving(var, mark, form)
                self.rows += ((eqn, side, None) for eqn in eqns)

    def read(self, atom: Atom, side: int, mark: Mark = NOWHERE) -> Atom:
        """``atom`` as one side reads it."""
        if not self.is_foreign(atom, side):
            return atom
        if (atom, side) not in self.entered:
            eqns, self.entered[atom, side] = entering(self.crossed[atom], atom.aval, mark)
            self.rows += ((eqn, side, None) for eqn in eqns)
        return self.entered[atom, side]

    def port(self, atom: Atom, side: int, aval: Aval) -> Atom:
        """``atom`` as a loop reads it: as the CPU device does, or in the form in which it crosses."""
        if isinstance(atom, Literal):
            value = Literal(atom.value.astype(aval.dtype), Aval((), aval.dtype))
            var = Var(aval)
            params = {"shape": aval.shape, "broadcast_dimensions": ()}
            self.rows.append((Eqn(broadcast_in_dim_p, (value,), (var,), params), CPU, None))
            return var
        if side == CPU:
            return self.read(atom, CPU)
        return atom if crosses_as_it_is(atom.aval) else self.crossed[atom]


def _all(atoms: Iterable[Atom], side: int) -> list[tuple[Any, int]]:
    return [(a, side) for a in atoms]


def _ports(eqn: Eqn, form: Eqn, side: int) -> tuple[list[tuple[Any, int]], list[tuple[Any, int]]]:
    """The operands and results of a loop that are ports of its crossing form, with the side that has them: the CPU
    device those that the form leaves in float32."""
    num_consts = eqn.params["num_consts"]
    given = [a for i, a in enumerate(eqn.inputs) if i >= num_consts or isinstance(a, Var)]
    return _sided(given, form.inputs, side), _sided(eqn.outputs, form.outputs, side)


def _sided(atoms: Sequence[Atom], ports: Sequence[Atom], side: int) -> list[tuple[Any, int]]:
    return [(a, side if p.aval.dtype == BORDER else CPU) for a, p in zip(atoms, ports, strict=True)]
