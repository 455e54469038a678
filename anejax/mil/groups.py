"""Groups the operations of a function into passes, for the cost model (cost.py).

The engine is assumed to run each group in one pass, and values inside a pass stay in its SRAM. An elementwise operation
joins the pass of the operation that produces its latest operand, because published models count it as free beside a
convolution or a product (chips.py). Every other operation begins a pass. Convolutions and products proceed image by
image, unless a reader, such as a mean over the batch, needs the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from anejax.mil.opset import OPSET
from anejax.mil.program import Function, Op, Value

ALIASES = ("reshape", "expand_dims", "squeeze")  # show the same bytes; taken to cost nothing
BY_IMAGE = ("conv", "conv_transpose", "matmul", "max_pool", "avg_pool")
POINTWISE = frozenset(name for name, op in OPSET.items() if op.shape in ("same", "broadcast")) - {"instance_norm"}


@dataclass(frozen=True)
class Groups:
    """The passes of a function.

    Attributes:
        source: what each result of ALIASES shows.
        passes: the number of each operation's pass.
        images: of each value the number of images that it is made and read in, one by one; 1 if it is needed whole.
        readers: the operations that read each value, or something that shows it.
    """

    source: Mapping[Value, Value]
    passes: Mapping[Op, int]
    images: Mapping[Value, int]
    readers: Mapping[Value, list[Op]]

    def leaves(self, value: Value, maker: Op) -> bool:
        """Whether another pass than its maker's reads ``value``."""
        return any(self.passes[op] != self.passes[maker] for op in self.readers.get(value, ()))


def groups(function: Function) -> Groups:
    """The passes of ``function``."""
    walk = _Walk(function)
    readers: dict[Value, list[Op]] = {}
    for op in function.ops:
        if op.name not in ALIASES:
            for v in dict.fromkeys(walk.shown(op)):
                readers.setdefault(v, []).append(op)
    walk.put_off(function, readers)
    images = {v: walk.images_of(v, ops) for v, ops in readers.items()}
    return Groups(walk.source, {op: walk.root(n) for op, n in walk.number.items()}, images, readers)


class _Walk:
    """Numbers passes in order; ``mixed`` counts how often images came together before a value was made."""

    def __init__(self, function: Function) -> None:
        self.source: dict[Value, Value] = {}
        self.made: dict[Value, Op] = {}
        self.number: dict[Op, int] = {}
        self.level: dict[Value, int] = {}
        self.mixed: dict[Value, int] = {}
        self.before: dict[Op, int] = {}
        self._joined: list[int] = []
        for op in function.ops:
            self.add(op)

    def shown(self, op: Op) -> Iterator[Value]:
        return (self.source.get(v, v) for v in op.values() if v.const is None)

    def add(self, op: Op) -> None:
        operands = list(self.shown(op))
        level = max((self.level.get(v, 0) for v in operands), default=0)
        self.before[op] = max((self.mixed.get(v, 0) for v in operands), default=0)
        if op.name in ALIASES:
            self.source.update((r, operands[0]) for r in op.results if operands)
            self.number[op] = -1
            return
        self.number[op] = number = len(self._joined)
        self._joined.append(number)
        if op.name in POINTWISE:
            size = op.results[0].type.size
            for v in operands:  # a mean, say, has to be complete before it is subtracted
                if v in self.made and self.level[v] == level and v.type.size == size:
                    self._joined[self.root(number)] = self.root(self.number[self.made[v]])
        else:
            level += 1
        mixed = self.before[op] + self.mixes(op)
        for r in op.results:
            self.made[r], self.level[r], self.mixed[r] = op, level, mixed

    def root(self, number: int) -> int:
        while number >= 0 and self._joined[number] != number:
            number = self._joined[number]
        return number

    def mixes(self, op: Op) -> bool:
        """Whether the first axis of an operand of several images is not that of the results."""
        for v in op.values():
            whole = self.source.get(v, v)
            if v.const is None and whole.type.rank > 2 and whole.type.shape[0] > 1:
                shapes = [v.type.shape, *(r.type.shape for r in op.results)]
                if any(s[:1] != whole.type.shape[:1] for s in shapes):
                    return True
        perm = op.operands["perm"] if op.name == "transpose" else None
        return (
            isinstance(perm, Value)
            and isinstance(perm.const, np.ndarray)
            and perm.const.size > 2
            and perm.const[0] != 0
        )

    def put_off(self, function: Function, readers: Mapping[Value, list[Op]]) -> None:
        """Each operation is done when the first of its readers is, so that what both need goes image by image."""
        for op in reversed(function.ops):
            after = [self.before[r] for v in op.results for r in readers.get(v, ())]
            if after and op.name not in ALIASES and not self.mixes(op):
                self.before[op] = max(self.before[op], min(after))

    def images_of(self, value: Value, readers: list[Op]) -> int:
        near = [*readers, self.made[value]] if value in self.made else readers
        together = len({self.before[op] for op in near}) == 1
        if value.type.rank < 3 or not together or not any(op.name in BY_IMAGE for op in near):
            return 1
        return max(value.type.shape[0], 1)
