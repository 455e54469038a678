"""The table of docs/from_jax.md: ``python -m tests.interop.page`` writes it, a test compares it."""

from __future__ import annotations

from pathlib import Path

from anejax.interop import absent
from anejax.interop.interpret import RULES

PAGE = Path(__file__).parents[2] / "docs" / "from_jax.md"
START = "<!-- made by python -m tests.interop.page -->\n"


def table() -> str:
    """The primitives that have rules, and those that have reasons."""
    lines = ["## Primitives that have a rule", "", ", ".join(f"`{n}`" for n in sorted(RULES)), "",
             "## Primitives that are refused", "", "| primitives | why |", "|---|---|"]  # fmt: skip
    lines += [f"| {' '.join(f'`{p}`' for p in patterns.split())} | {why} |" for patterns, why in absent.REASONS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().split(START)[0] + START + table())
