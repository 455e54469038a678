"""What an engine that is not at hand makes of a function: ``estimate`` predicts times, ``check`` finds broken rules,
``explain`` says how it is divided, and why."""

from anejax.engine.check import check as check
from anejax.engine.estimate import Estimate as Estimate
from anejax.engine.estimate import estimate as estimate
from anejax.engine.explain import Explanation as Explanation
from anejax.engine.explain import explain as explain
