"""The verifier here and the native one agree: they read one table, and were written apart.

For target cpu they accept the same texts. For coreml and ane this one asks more, never less.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anejax.errors import DeviceError, MilError
from anejax.mil.opset import MAY_BE_ABSENT, OPSET, TARGETS
from anejax.mil.parse import parse
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.runtime import library
from tests.mil.programs import EXAMPLES, programs
from tests.mil.samples import SAMPLES, program

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures/mil").glob("*.mil"))
SEEDS = [to_text(program(s, d, ports=False)) for s in SAMPLES for d in ("fp16", "fp32")]
SEEDS += [path.read_text() for path in FIXTURES]
NUMBERS = ["0", "1", "2", "3", "4", "5", "6", "7", "-1", "-2", "1000000"]
NUMBER = re.compile(r'(?<![\w."])-?\d+(?![\w.])')


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    try:
        library.load()
    except DeviceError as error:
        pytest.skip(str(error))


def here(text: str, target: str) -> str | None:
    try:
        verify(parse(text), target)
    except MilError as error:
        return str(error)
    return None


def there(text: str, target: str) -> str | None:
    try:
        library.verify(text, target)
    except DeviceError as error:
        return str(error)
    return None


def compare(text: str) -> None:
    for target in TARGETS:
        ours, native = here(text, target), there(text, target)
        agree = (ours is None) == (native is None) or (target != "cpu" and native is None)
        assert agree, f"{target}: here {ours}; native {native}\n{text}"


@pytest.mark.parametrize("text", SEEDS)
def test_samples(text: str) -> None:
    compare(text)


@EXAMPLES
@given(programs())
def test_random_programs(made: Program) -> None:
    compare(to_text(made))


def without_an_operand() -> list[tuple[str, str, str]]:
    """Operation, operand, and a program for the engine that leaves the operand out."""
    found: list[tuple[str, str, str]] = []
    for sample in SAMPLES:
        made = program(sample, "fp16")
        if here(to_text(made), "ane") is None:
            (op,) = (op for op in made.main.ops if op.name == sample.op)
            for arg in OPSET[op.name].args:
                if arg.optional and arg.name in op.operands:
                    rest = replace(op, operands={k: v for k, v in op.operands.items() if k != arg.name})
                    main = replace(made.main, ops=tuple(rest if o is op else o for o in made.main.ops))
                    found.append((op.name, arg.name, to_text(Program((main,)))))
    return found


@pytest.mark.parametrize(("op", "operand", "text"), without_an_operand(), ids=lambda v: v if len(v) < 40 else "")
def test_operands_that_the_engine_wants_written(op: str, operand: str, text: str) -> None:
    """MIL has defaults for them; the engine's compiler has been seen to want them all the same."""
    ours, native = here(text, "ane"), there(text, "ane")
    assert (ours is None) == (native is None), f"here {ours}; native {native}\n{text}"
    assert (ours is None) == (operand in MAY_BE_ABSENT), ours
    compare(text)


@settings(EXAMPLES, max_examples=300)
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_numbers(text: str, data: st.DataObject) -> None:
    """Sizes, axes, pads and strides that do not fit: right after parsing, wrong for the shape rules."""
    for _ in range(data.draw(st.integers(1, 2))):
        places = [m.span() for m in NUMBER.finditer(text) if m.start() > text.index("func main")]
        start, end = data.draw(st.sampled_from(places))
        text = text[:start] + data.draw(st.sampled_from(NUMBERS)) + text[end:]
    compare(text)
