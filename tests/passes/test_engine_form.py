"""What legalization writes for the engine breaks no rule, on any chip; both verifiers say so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from anejax import dtypes
from anejax.core.graph import Graph
from anejax.core.primitive import REGISTRY, Refused
from anejax.errors import AnejaxError
from anejax.lower.to_mil import lower
from anejax.mil.chips import CHIPS
from anejax.mil.parse import parse
from anejax.mil.program import Program
from anejax.mil.rules import NOTE
from anejax.mil.text import to_text
from anejax.mil.verify import diagnose, verify
from anejax.passes.legalize import legalize, why_not
from anejax.passes.simplify import simplify
from anejax.runtime import library
from tests.op_samples import ROWS, Row
from tests.ops.checks import describe
from tests.ops.test_mil import graph_of

ON_ENGINE = (dtypes.float32, dtypes.float16, dtypes.bool_)
CHIP_OF_FAMILY = {chip.family: chip.name for chip in CHIPS.values()}  # one of each
WITH_A_FORM = [
    row for row in ROWS.values() if why_not(row.name, "ane") is None and not isinstance(REGISTRY[row.name].mil, Refused)
]


def graphs(row: Row) -> Iterator[tuple[str, Graph]]:
    """The row's cases that the engine's dtypes and sizes allow."""
    for case in row.cases:
        for dtype in (d for d in (np.dtype(np.float32), dtypes.bool_) if d in row.dtypes):
            graph = graph_of(row, case, dtype)
            avals = [*graph.in_avals, *graph.out_avals]
            if all(a.dtype in ON_ENGINE and a.size for a in avals):
                yield describe(row, case, dtype), graph


def for_engine(graph: Graph, chip: str | None = None) -> Program:
    return lower(simplify(legalize(graph, "ane", chip)), "ane")


@pytest.mark.parametrize("row", WITH_A_FORM, ids=[r.name for r in WITH_A_FORM])
def test_no_rule_is_broken(row: Row) -> None:
    """Neither refused nor reported to go wrong; what is legalized for no chip in particular is right on every one."""
    for what, graph in graphs(row):
        anywhere = for_engine(graph)
        library.verify(to_text(anywhere), "ane")
        for chip in CHIP_OF_FAMILY.values():
            for program in (anywhere, for_engine(graph, chip)):
                broken = [f.message for f in diagnose(program, chip) if f.rule.severity != NOTE]
                assert broken == [], f"{what} on {chip}"


def test_most_rows_have_a_form() -> None:
    tried = {row.name for row in WITH_A_FORM if any(True for _ in graphs(row))}
    assert len(tried) > 65
    assert {"conv_general_dilated", "select_and_scatter_add", "cumsum", "sin", "reduce_prod", "pow"} <= tried


WITHOUT_AXES = """program(1.3)
{
    func main<ios18>(tensor<fp16, [2]> x) {
        fp16 most = reduce_max(axes = tensor<int32, [1]>([0]), keep_dims = bool(false), x = x)[name = string("most")];
        tensor<fp16, [2]> o = sub(x = x, y = most)[name = string("o")];
    } -> (o);
}
"""


@pytest.mark.parametrize("check", [lambda text: verify(parse(text), "ane"), lambda text: library.verify(text, "ane")])
def test_both_verifiers_want_axes(check: Any) -> None:
    with pytest.raises(AnejaxError, match=r"rank 1 or more on the engine, got .*most|most must have rank 1 or more"):
        check(WITHOUT_AXES)
    check(WITHOUT_AXES.replace("false", "true").replace("fp16 most", "tensor<fp16, [1]> most"))
