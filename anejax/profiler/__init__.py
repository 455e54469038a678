"""What a function would cost on an engine that is not at hand: ``estimate``, and ``check`` before compiling."""

from anejax.profiler.estimate import Estimate as Estimate
from anejax.profiler.estimate import estimate as estimate
from anejax.profiler.split import check as check
