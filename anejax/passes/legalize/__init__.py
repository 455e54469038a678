"""Legalization: rewrites a Graph into primitives whose MIL operations a target accepts.

A rule takes a primitive's operands and parameters, and binds other primitives. It runs under a trace that legalizes
those in turn, so a rule may use any primitive that has a rule. If no rule applies, the primitive is refused with a
reason, which ``why_not`` and docs/legalization.md give.
"""

from anejax.passes.legalize.apply import LegalizeTrace as LegalizeTrace
from anejax.passes.legalize.apply import legalize as legalize
from anejax.passes.legalize.apply import why_not as why_not
from anejax.passes.legalize.unsigned import signed_words as signed_words
