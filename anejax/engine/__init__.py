"""What an engine that is not at hand makes of a function: ``estimate`` predicts times, ``check`` finds broken rules."""

from anejax.engine.check import check as check
from anejax.engine.estimate import Estimate as Estimate
from anejax.engine.estimate import estimate as estimate
