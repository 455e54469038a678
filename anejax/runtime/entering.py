"""Warns if a value is too large for the engine: a float32 beyond float16's range that crosses the border."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from anejax import dtypes
from anejax.core.graph import Atom, Eqn, Graph, Var
from anejax.mil.limits import MAX_FINITE
from anejax.partition import Plan
from anejax.passes.legalize.masks import bounded
from anejax.runtime.library import Borrowed
from anejax.transforms.composite import title

CASTS = ("convert_element_type", "reshape")

Compute = Callable[[Graph, Mapping[Var, int]], np.ndarray]  # the one result of a Graph, of values at addresses


class Border:
    """The values of a plan that the CPU device casts to float16 for the engine, and what they are cast from.

    ``mended`` are those whose overflow a loss scale mends. ``compute`` gives what is cast where no address is known.
    """

    def __init__(self, plan: Plan, mended: set[Var], compute: Compute) -> None:
        self._mended, self._compute = mended, compute
        self._maker = {v: s.graph for s in plan.segments if s.device == "cpu" for v in s.outputs}
        self._runs, self._next = 0, 1

    def first_beyond(self, segment: Graph, where: Mapping[Var, int]) -> str | None:
        """The warning about the first input of an engine ``segment`` that was finite and became infinite, after a run.

        ``where`` has the addresses of all values. It looks less and less often while there is nothing to be said.
        """
        self._runs += 1
        if self._runs < self._next:
            return None
        self._next = 2 * self._runs
        return next(self._beyond(segment, where), None)

    def _beyond(self, segment: Graph, where: Mapping[Var, int]) -> Iterator[str]:
        masks = bounded(segment)  # masks may be -infinity
        for v in segment.inputs:
            maker = self._maker.get(v)
            if maker is None or v.aval.dtype != dtypes.float16:
                continue
            entered = _at(where[v], v)
            if not (np.isposinf if v in masks else np.isinf)(entered).any():
                continue
            source = _cast_from(maker, v)
            if source is None or source in self._mended or source.aval.dtype != dtypes.float32:
                continue
            values = np.abs(self._value(maker, source, where))
            beyond = np.isfinite(values) & (values > MAX_FINITE)
            if beyond.any():
                yield _words(int(beyond.sum()), float(values[beyond].max()), _reader(segment, v))

    def _value(self, maker: Graph, source: Var, where: Mapping[Var, int]) -> np.ndarray:
        if source in maker.inputs:
            return _at(where[source], source)
        return self._compute(maker.replace(outputs=(source,)), where)


def _at(address: int, v: Var) -> np.ndarray:
    if v.aval.nbytes == 0:
        return np.zeros(v.aval.shape, v.aval.dtype)
    flat = np.asarray(Borrowed(address, v.aval.nbytes))
    return flat.view(v.aval.dtype).reshape(v.aval.shape)


def _cast_from(maker: Graph, v: Var) -> Var | None:
    made_by = {out: e for e in maker.eqns for out in e.outputs}
    atom = v
    while atom in made_by and made_by[atom].primitive.name in CASTS and atom.aval.dtype == dtypes.float16:
        (atom,) = made_by[atom].inputs
        if not isinstance(atom, Var):
            return None
    return atom


def _reader(segment: Graph, v: Var) -> Eqn | None:
    """The first equation that computes something of ``v``."""
    same: set[Atom] = {v}
    for eqn in segment.eqns:
        if not same.isdisjoint(eqn.inputs):
            if eqn.primitive.name not in CASTS:
                return eqn
            same.update(eqn.outputs)
    return None


def _words(count: int, largest: float, reader: Eqn | None) -> str:
    where = f" {title(reader)}{reader.mark.place}" if reader is not None else " the engine"
    return (
        f"[jit] {count} numbers that enter{where} are beyond float16, which ends at {MAX_FINITE:g}, and became"
        f" infinite: the largest in float32 is {largest:.3g}. To mend it, scale or clip them before. It is the first"
        " such operation; this is said once for a program."
    )
