"""Prints docs/legalization.md."""

import anejax as anejax  # registers every primitive
from anejax.passes.legalize.table import markdown

print(markdown(), end="")
