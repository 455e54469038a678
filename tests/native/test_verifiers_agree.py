"""The native verifier and Python's accept the same programs: the C++ tests' rows, as they are and mutated."""

from __future__ import annotations

import ast
import random
import re
from pathlib import Path

import pytest

from anejax import errors
from anejax.mil.parse import parse
from anejax.mil.verify import verify
from anejax.runtime import library

ROWS = Path(__file__).parents[2] / "native" / "tests" / "op_rows.h"
LITERAL = r'"(?:[^"\\]|\\.)*"'
# Where the native verifier refuses more, because a kernel relies on it.
NATIVE_ONLY = (
    "perm must be in",  # negative axes in a permutation
    "the axis must not be empty",  # the greatest of nothing
    "windows must not be empty",
    "a collapsed slice dim must have slice size 1",
    "a batching dim is also dropped or indexed",
)


def rows() -> list[str]:
    """The programs that one_op of native/tests/print.cpp makes of the rows."""
    body = ROWS.read_text(encoding="utf-8").split("kOpRows[] = {", 1)[1]
    strings = rf"{LITERAL}(?:\s*{LITERAL})*"
    found = re.findall(rf"\{{({strings}(?:,\s*{strings})+)\s*\}}", body)
    return [program(*ast.literal_eval(f"({row})")) for row in found]


def program(inputs: str, statement: str, outputs: str = "o", functions: str = "") -> str:
    frame = 'program(1.3)\n{{\n    func main<ios18>({}) {{\n{}[name = string("o")];\n    }} -> ({});\n{}}}\n'
    behind = expand_types(functions) + "\n" if functions else ""
    return frame.format(expand(inputs), expand(statement), outputs, behind)


def expand(text: str) -> str:
    def ints(match: re.Match[str]) -> str:
        count = len(match[1].split(",")) if match[1] else 0
        return f"tensor<int32, [{count}]>([{match[1]}])"

    return re.sub(r"\{([^}]*)\}", ints, expand_types(text))


def expand_types(text: str) -> str:
    return re.sub(r"\b(\w+)\[([^\]]*)\]", r"tensor<\1, [\2]>", text)


def python_accepts(text: str, target: str) -> bool:
    try:
        verify(parse(text), target)
    except errors.AnejaxError:
        return False
    return True


def native_refusal(text: str, target: str) -> str:
    try:
        library.verify(text, target)
    except errors.AnejaxError as error:
        return str(error)
    return ""


def mutated(text: str, rng: random.Random) -> str:
    lines = text.split("\n")
    for _ in range(rng.randint(1, 2)):
        line = rng.choice((2, 3, 3, *range(5, len(lines) - 2)))
        numbers = list(re.finditer(r"(?<![\w.])-?\d+", lines[line]))
        if numbers:
            at = rng.choice(numbers)
            lines[line] = lines[line][: at.start()] + str(rng.randint(-2, 6)) + lines[line][at.end() :]
    return "\n".join(lines)


def test_there_are_rows() -> None:
    assert len(rows()) > 80


@pytest.mark.parametrize("target", ["cpu", "coreml"])
def test_legal_programs(target: str) -> None:
    for text in rows():
        assert python_accepts(text, target) == (not native_refusal(text, target)), text


def test_mutated_programs() -> None:
    rng = random.Random(0)
    programs = rows()
    for _ in range(1500):
        text = mutated(rng.choice(programs), rng)
        refusal = native_refusal(text, "cpu")
        if not any(words in refusal for words in NATIVE_ONLY):
            assert python_accepts(text, "cpu") == (not refusal), text + refusal
