"""The rules that a program for the engine must satisfy: their sources, and how to mend a program that breaks one.

verify.py, engine.py (single operations) and hazards.py (programs that compile but are reported to go wrong) decide
whether a rule is broken. The marks of sources are those of limits.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

REFUSED, WRONG, NOTE = "refused", "wrong", "note"
# refused: the verifier, and as far as is known the engine's compiler, does not take it
# wrong: it may compile, and is reported to fail or to give wrong numbers
# note: right, but slower or less accurate than one may expect

MIL = "the rules of MIL and of this dialect (docs/mil.md)"
SWEEP = "[sweep] every MIL operation run on an M5 through the engine's C route"
CATALOG = "[catalog] tables of the engine's compiler, measured on M1, M2 and M5, predicted between"
ONE = "[one] a single project's report"
ISSUES = "[apple] Apple's list of common issues: github.com/apple/coreai-models, common_issues.md"
APPLE = "[apple] Apple's rules for authors of models: github.com/apple/coreai-models, neural_engine_rules.md"


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its source, the form to write instead, and how serious it is to break it."""

    name: str
    source: str
    fix: str
    severity: str = REFUSED


@dataclass(frozen=True)
class Finding:
    """A rule that a program breaks: at which operation, on which line of its text (0: not from text)."""

    rule: Rule
    op: str
    message: str  # starts with [op]
    line: int = 0
    place: str = field(default="", compare=False)  # the layers and the line of yours that it comes from (Mark.place)


GENERAL: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("functions", MIL, "give the program distinct functions, one of them main, that name each other rightly"),
        Rule("operation", MIL, "use an operation of the table, anejax/mil/opset.py"),
        Rule("state", APPLE, "take state as an input and return the new one; what calls the program keeps it"),
        Rule("target", SWEEP, "leave this part to the CPU device, or write it in operations that the engine has"),
        Rule("attributes", MIL, "write operands, not attributes"),
        Rule("order", MIL, "define values once, and before they are used"),
        Rule(
            "constant",
            SWEEP,
            "write finite numbers: -40000 in masks that softmax reads [apple], +-65504 for infinity elsewhere",
        ),
        Rule("operands", MIL, "give the operands that the table names"),
        Rule("dtype", SWEEP, "compute in fp16: cast where the data comes in, on the CPU device"),
        Rule("shape", MIL, "declare the result that the operands give"),
        Rule("rank", SWEEP, "join axes by reshape before, and part them after"),
        Rule("empty", CATALOG, "leave values without elements to the CPU device"),
        Rule("scalar", ONE, "reduce with keep_dims = true, or reshape to rank 1 or more"),
        Rule("extent", CATALOG, "split the axis, or move it to one of the leading axes"),
        Rule("outputs", MIL, "return at least one value"),
        Rule("port", CATALOG, "cast to fp16 and reshape to rank 1 or more where data comes in and goes out"),
        Rule("returned", ONE, "return the result of an operation, such as mul by 1; inputs need not be returned"),
    )
}
