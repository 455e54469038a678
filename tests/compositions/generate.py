"""The random program of a seed: transformations inside each other, of small functions, to the third order."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import numpy as np

from tests.compositions.kinds import CALLS, DERIVATIVES, OPERATIONS, SUM
from tests.compositions.program import Block, Kind, N, Step, text

ORDER = 3  # derivatives around any step, together
DEPTH = 4  # blocks inside each other
STEPS = 14  # of a program
FLOAT32_SHARE = 0.15  # of programs; the others are of float64


@dataclasses.dataclass(frozen=True)
class Program:
    block: Block  # of one parameter and one result
    point: np.ndarray

    def __str__(self) -> str:
        return text(self.block)


@dataclasses.dataclass(frozen=True)
class _Around:
    """What stands around a block."""

    names: tuple[str, ...] = ()  # that it may read
    depth: int = 0
    order: int = ORDER  # that is left
    nearest: str = ""  # the mode of the innermost derivative
    reversed: bool = False  # whether any derivative is taken in reverse mode

    def within(self, kind: Kind, names: Sequence[str]) -> _Around:
        return _Around(
            () if kind.closed else tuple(names),
            self.depth + 1,
            self.order - kind.order,
            kind.takes or self.nearest,
            self.reversed or kind.takes in ("reverse", "both"),
        )

    def takes(self, kind: Kind) -> bool:
        """Whether jax can differentiate such a step here."""
        if not kind.reverse and self.reversed:
            return False
        return kind.order <= self.order and (kind.forward or self.nearest in ("", "reverse"))


def generate(seed: int) -> Program:
    rng = random.Random(seed)
    maker = _Maker(rng)
    block = maker.block(1, 1, _Around())
    dtype = np.float32 if rng.random() < FLOAT32_SHARE else np.float64
    return Program(block, np.random.default_rng(seed).uniform(-1, 1, N).astype(dtype))


class _Maker:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.left = STEPS
        self.count = 0

    def block(self, params: int, results: int, around: _Around) -> Block:
        inputs = tuple(self.name("x") for _ in range(params))
        names = [*around.names, *inputs]
        unread = [*inputs] if self.rng.random() < 0.8 else []  # what the block is still to read
        steps: list[Step] = []

        def append(step: Step) -> None:
            steps.append(step)
            names.append(step.result)
            unread[:] = [name for name in unread if name not in step.operands] + [step.result]

        for i in range(self.rng.choice((1, 1, 2, 2, 3))):
            append(self.step(names, unread, around, first=i == 0))
        while len(unread) > 1:
            append(Step(SUM, self.name("y"), (unread[0], unread[1])))
        made = [s.result for s in steps]
        chosen = [made[-1], *(self.rng.choice([*made, *inputs]) for _ in range(results - 1))]
        return Block(inputs, tuple(steps), tuple(chosen))

    def step(self, names: Sequence[str], unread: Sequence[str], around: _Around, first: bool) -> Step:
        self.left -= 1
        kind = self.kind(around, first)
        settings = tuple((key, self.rng.choice(values)) for key, values in kind.settings.items())
        operands = tuple(self.operand(names, unread) for _ in range(kind.operands))
        blocks = tuple(self.block(*counts, around.within(kind, names)) for counts in kind.blocks)
        return Step(kind, self.name("y"), operands, blocks, settings)

    def kind(self, around: _Around, first: bool) -> Kind:
        kinds: Sequence[Kind] = OPERATIONS
        if around.depth < DEPTH and self.left > 0:
            p = self.rng.random()
            if p < (0.9 if first and around.depth == 0 else 0.25):
                kinds = DERIVATIVES
            elif p < 0.7:
                kinds = CALLS
        return self.rng.choice([k for k in kinds if around.takes(k)] or OPERATIONS)

    def operand(self, names: Sequence[str], unread: Sequence[str]) -> str:
        """A value, more likely one that is unread or was made late."""
        if unread and self.rng.random() < 0.5:
            return self.rng.choice(unread)
        return names[max(self.rng.randrange(len(names)), self.rng.randrange(len(names)))]

    def name(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"
