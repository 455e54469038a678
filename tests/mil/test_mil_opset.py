"""The table against docs/mil.md, against itself, and against what is known of the engine."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from anejax.mil import limits
from anejax.mil.opset import DTYPES, KINDS, OPSET, TARGETS, OpSchema
from anejax.mil.verify import RULES

ROOT = Path(__file__).parents[2]
DIALECT = (ROOT / "docs/mil.md").read_text()


def documented_aj() -> dict[str, set[str]]:
    """operation -> operand names, from the dialect's table."""
    found: dict[str, set[str]] = {}
    table = DIALECT[DIALECT.index("## `aj_` operations") : DIALECT.index("MIL's own operations that")]
    for row in re.findall(r"^\| (.*?) \| (.*?) \|$", table, re.MULTILINE)[1:]:
        names = re.sub(r"^(unary|binary): ", "", row[0]).split()
        operands = set(re.findall(r"`([a-z_0-9]+)(?: = [^`]*)?`", row[1]))
        found |= {f"aj_{name}": operands for name in names}
    return found


def documented_mil() -> set[str]:
    start = DIALECT.index("all of which the CPU device runs:")
    text = DIALECT[start + 33 : DIALECT.index("## Rules of the CPU device", start)]
    return set(re.sub(r"\([^)]*\)", "", text).replace(".", "").split())


def test_lax_operations_are_the_documented_ones() -> None:
    documented = documented_aj()
    assert set(documented) == {name for name in OPSET if name.startswith("aj_")}
    for name, operands in documented.items():
        assert {a.name for a in OPSET[name].args} == operands, name


def test_mil_operations_are_the_documented_ones() -> None:
    on_cpu = {name for name, s in OPSET.items() if not name.startswith("aj_") and "cpu" in s.targets}
    assert documented_mil() == on_cpu


@pytest.mark.parametrize("schema", OPSET.values(), ids=lambda s: s.name)
def test_schemas_are_well_formed(schema: OpSchema) -> None:
    names = [a.name for a in schema.args]
    variables = {t.name for t in schema.types}
    assert names == sorted(set(names))
    assert set(schema.targets) <= set(TARGETS)
    assert ("ane" in schema.targets) == (schema.engine is not None)
    assert schema.name in RULES or schema.shape in RULES
    assert all(r in variables or r in DTYPES or r == "" for r in schema.results)
    for arg in schema.args:
        assert arg.kind in KINDS
        assert arg.var in variables if arg.var else arg.dtypes
        assert set(arg.dtypes) <= set(DTYPES)
        assert arg.default is None or arg.optional
    for variable in schema.types:
        for target in TARGETS:
            assert set(variable.on(target)) <= set(DTYPES)
            used = any(a.var == variable.name for a in schema.args) or variable.name in schema.results
            assert bool(variable.on(target)) == (target in schema.targets) or not used
        assert set(variable.ane) <= set(variable.coreml)


def test_every_refusal_of_the_engine_has_a_reason() -> None:
    refused = {n for n, s in OPSET.items() if "coreml" in s.targets and "ane" not in s.targets and n[:3] != "aj_"}
    assert refused == set(limits.REFUSED)
    assert set(limits.NUMERICS) <= set(OPSET)


def test_families_are_ordered_and_known() -> None:
    assert set(limits.LIMITS) == set(limits.FAMILIES) == set(limits.FAMILY_OF_CHIP.values())
    extents = [limits.LIMITS[f].max_extent for f in limits.FAMILIES]
    assert extents == sorted(extents)


def test_the_table_stands_alone() -> None:
    """The native build loads it by path, with the standard library only."""
    path = ROOT / "anejax/mil/opset.py"
    imports = re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
    assert set(imports) <= sys.stdlib_module_names
    spec = importlib.util.spec_from_file_location("opset_alone", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert list(module.OPSET) == list(OPSET)
