"""Analyses a function for an engine that need not be present.

``estimate`` predicts times, ``check`` finds broken rules, and ``explain`` shows how a function is divided between the
engine and the CPU device, and why.
"""

from anejax.engine.check import check as check
from anejax.engine.estimate import Estimate as Estimate
from anejax.engine.estimate import estimate as estimate
from anejax.engine.explain import Explanation as Explanation
from anejax.engine.explain import explain as explain

__all__ = [
    "Estimate", "Explanation", "check", "estimate", "explain"
]  # fmt: skip
