"""Prints docs/legalization.md."""

import anejax as anejax  # registers every primitive
from anejax.passes.legalize.table import markdown

if __name__ == "__main__":
    print(markdown(), end="")
