"""Whatever the text: a program, or an error of ours. Mutated fixtures reach deep into the grammar."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anejax.errors import MilError, ParseError, VerifyError
from anejax.mil.chips import CHIPS
from anejax.mil.cost import predict
from anejax.mil.opset import OPSET, TARGETS
from anejax.mil.parse import TOKEN, parse
from anejax.mil.program import Op, Program, same_program
from anejax.mil.rules import REFUSED
from anejax.mil.text import to_text
from anejax.mil.verify import diagnose, verify
from tests.mil.programs import EXAMPLES, programs
from tests.mil.samples import SAMPLES, program

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures/mil").glob("*.mil"))
SEEDS = [path.read_text() for path in FIXTURES] + [to_text(program(s)) for s in SAMPLES]
SPLICES = [
    *'(){}[]<>,;="\\-0\x00\n ',
    *("->", "inf", "-inf", "nan", "0x1p+0", "0x1p+99999", "-1", "9" * 40, "18446744073709551616", "string", "tensor"),
    *("tensor<fp32, [2]>", "tensor<fp32, []>", "bool(true)", 'string("x")', "BLOBFILE", "const()", "\N{BELL}"),
    *("4294967296", "281474976710656", "[0, 0, 0]", "fp16", "int64", "x", "x = x", "(x, x)", "()", "program(1.3)"),
]


def outcome(text: str) -> None:
    """Parse; when it parses, every target's verifier has its say, printing gives it back, and a diagnosis of it finds
    something that is refused exactly when the verifier does."""
    try:
        found = parse(text)
    except ParseError:
        return
    for target in TARGETS:
        try:
            verify(found, target)
        except VerifyError as error:
            assert str(error).startswith("[")
    assert same_program(parse(to_text(found)), found)
    for chip in ("M1", "M3", "M5 Pro"):
        refusals = [f for f in diagnose(found, chip) if f.rule.severity == REFUSED]
        try:
            verify(found, "ane", CHIPS[chip].family)
        except VerifyError as error:
            assert str(error) in {f.message for f in refusals}
        else:
            assert not refusals
            assert predict(found, chip).us >= CHIPS[chip].floor_us


@EXAMPLES
@given(st.text(max_size=200))
@example("\x1f")
@example("program(1.3){func main<ios18>() {} -> ();}")
def test_any_text(text: str) -> None:
    outcome(text)


@EXAMPLES
@given(st.lists(st.sampled_from(SPLICES), max_size=40))
def test_any_tokens(tokens: list[str]) -> None:
    outcome(" ".join(tokens))


@EXAMPLES
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_characters(seed: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(seed)))
        end = min(len(seed), start + data.draw(st.sampled_from([0, 0, 1, 1, 2, 8, 50])))
        seed = seed[:start] + data.draw(st.sampled_from(["", *SPLICES])) + seed[end:]
    outcome(seed)


def tokens_of(text: str) -> list[str]:
    return [m.group() for m in TOKEN.finditer(text)]


TOKENS = [tokens_of(seed) for seed in SEEDS]
POOL = sorted({t.strip() for tokens in TOKENS for t in tokens})


@EXAMPLES
@given(st.sampled_from(TOKENS), st.data())
def test_mutated_tokens(seed: list[str], data: st.DataObject) -> None:
    """One token becomes another that occurs somewhere: mostly still grammatical."""
    tokens = list(seed)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(tokens) - 1))
        tokens[place] = " " + data.draw(st.sampled_from(POOL) | st.sampled_from(SPLICES))
    outcome("".join(tokens))


@EXAMPLES
@given(programs(), st.sampled_from(sorted(OPSET)), st.data())
def test_operations_with_wrong_operands(made: Program, name: str, data: st.DataObject) -> None:
    """The same operands under another operation's name: the verifier decides, without other exceptions."""
    main = made.main
    if not main.ops:
        return
    place = data.draw(st.integers(0, len(main.ops) - 1))
    op = main.ops[place]
    values = list(op.values())
    schema = OPSET[name]
    operands = {a.name: data.draw(st.sampled_from([values[0], tuple(values), values[-1]])) for a in schema.args}
    ops = (*main.ops[:place], Op(name, operands, op.results), *main.ops[place + 1 :])
    other = Program((type(main)(main.name, main.inputs, ops, main.outputs),))
    for target in TARGETS:
        try:
            verify(other, target)
        except VerifyError:
            continue


@pytest.mark.parametrize("seed", SEEDS[: len(FIXTURES)], ids=[p.stem for p in FIXTURES])
def test_every_prefix(seed: str) -> None:
    for end in range(0, len(seed.rstrip()), 7):
        with pytest.raises(MilError):
            parse(seed[:end])
