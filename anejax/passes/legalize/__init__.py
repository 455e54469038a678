"""Legalization: a Graph rewritten into primitives whose MIL slots write only what a target takes.

A rule is a function of the primitive's operands and parameters that binds other primitives; it runs under a trace that
legalizes those in turn, so rules may use anything that has a rule. What no rule covers is refused with its reason:
``why_not`` and the table in docs/legalization.md.
"""

from anejax.passes.legalize.apply import LegalizeTrace as LegalizeTrace
from anejax.passes.legalize.apply import legalize as legalize
from anejax.passes.legalize.apply import why_not as why_not
