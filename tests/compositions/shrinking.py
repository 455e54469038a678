"""Makes a failing program small: steps go, and blocks take the place of the steps that hold them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping

from tests.compositions.generate import Program
from tests.compositions.program import Block, Step


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A program for which ``fails`` holds too, and for none that is one step smaller."""
    while True:
        smaller = (dataclasses.replace(program, block=b) for b in _smaller(program.block, ()))
        found = next((p for p in smaller if fails(p)), None)
        if found is None:
            return program
        program = found


def _smaller(block: Block, around: tuple[str, ...]) -> Iterator[Block]:
    names = (*around, *block.params)
    for i, step in reversed(list(enumerate(block.steps))):
        for other in dict.fromkeys((*step.operands, *block.params)):
            yield _renamed(_replaced(block, i, ()), {step.result: other})
        for inner in step.blocks:  # the block without the transformation around it
            yield _spliced(block, i, inner)
        seen = (*names, *(s.result for s in block.steps[:i])) if not step.kind.closed else ()
        for j, inner in enumerate(step.blocks):
            for smaller in _smaller(inner, seen):
                blocks = (*step.blocks[:j], smaller, *step.blocks[j + 1 :])
                yield _replaced(block, i, (dataclasses.replace(step, blocks=blocks),))


def _replaced(block: Block, at: int, steps: tuple[Step, ...]) -> Block:
    return dataclasses.replace(block, steps=(*block.steps[:at], *steps, *block.steps[at + 1 :]))


def _spliced(block: Block, at: int, inner: Block) -> Block:
    step = block.steps[at]
    given = {param: step.operands[min(k, len(step.operands) - 1)] for k, param in enumerate(inner.params)}
    inner = _renamed(inner, given)
    return _renamed(_replaced(block, at, inner.steps), {step.result: inner.results[0]})


def _renamed(block: Block, names: Mapping[str, str]) -> Block:
    new = lambda old: tuple(names.get(name, name) for name in old)  # noqa: E731
    steps = tuple(
        dataclasses.replace(s, operands=new(s.operands), blocks=tuple(_renamed(b, names) for b in s.blocks))
        for s in block.steps
    )
    return dataclasses.replace(block, steps=steps, results=new(block.results))
