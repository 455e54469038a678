"""Programs as Python text: blocks of steps, some of which hold blocks of their own.

A block is a function of vectors; each of its steps makes one vector out of those that stand before it, in the block or
around it. ``text`` writes the whole as Python in terms of ``m``, which is anejax or jax (``running``).
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping

N = 3  # elements of every vector


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a step does: ``template`` is its text, with operands ``{0}``, ``{1}``, blocks ``{f}``, ``{g}``, ``{h}``,
    the result ``{out}`` and the settings by their names."""

    template: str
    operands: int = 1
    blocks: tuple[tuple[int, int], ...] = ()  # parameters and results of each
    settings: Mapping[str, tuple[object, ...]] = dataclasses.field(default_factory=dict[str, tuple[object, ...]])
    order: int = 0  # derivatives that it takes of its blocks
    closed: bool = False  # its blocks see their parameters alone
    forward: bool = True  # whether it has a derivative in forward mode
    reverse: bool = True  # whether it has one in reverse mode
    takes: str = ""  # the mode in which it differentiates its blocks: "forward", "reverse", "both"


@dataclasses.dataclass(frozen=True)
class Step:
    kind: Kind
    result: str
    operands: tuple[str, ...]
    blocks: tuple[Block, ...] = ()
    settings: tuple[tuple[str, object], ...] = ()


@dataclasses.dataclass(frozen=True)
class Block:
    params: tuple[str, ...]
    steps: tuple[Step, ...]
    results: tuple[str, ...]


def text(block: Block, name: str = "program") -> str:
    """The block as the definition of a function."""
    params = ", ".join(("m", *block.params) if name == "program" else block.params)
    body = [line for step in block.steps for line in _lines(step)]
    return "\n".join(
        [f"def {name}({params}):", *(f"    {line}" for line in body), f"    return {', '.join(block.results)}"]
    )


def _lines(step: Step) -> list[str]:
    names = {letter: f"{step.result}_{letter}" for letter, _ in zip("fgh", step.blocks)}
    lines = [line for name, block in zip(names.values(), step.blocks) for line in text(block, name).splitlines()]
    written = textwrap.dedent(step.kind.template).strip()
    settings = {key: str(value).format(out=step.result, **names) for key, value in step.settings}
    return lines + written.format(*step.operands, out=step.result, **names, **settings).splitlines()


def steps_of(block: Block) -> Iterator[Step]:
    """All steps, those of inner blocks too."""
    for step in block.steps:
        yield step
        for inner in step.blocks:
            yield from steps_of(inner)
