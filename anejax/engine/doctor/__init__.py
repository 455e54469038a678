"""`anejax doctor`: what works on this machine, on its CPU and on its Neural Engine, and how fast.

``examine`` asks, one check after the other: the environment, every primitive that the engine has (legalized on the CPU
device, then on the engine), probes of what sources disagree on, and timings. Without an engine the rest is skipped, and
says why. docs/engine.md has the order in which a first run on a Mac is read.
"""

from anejax.engine.doctor.checks import FAILED as FAILED
from anejax.engine.doctor.checks import PASSED as PASSED
from anejax.engine.doctor.checks import SKIPPED as SKIPPED
from anejax.engine.doctor.checks import Check as Check
from anejax.engine.doctor.checks import report as report
from anejax.engine.doctor.checks import summary as summary
from anejax.engine.doctor.checks import without_names as without_names
from anejax.engine.doctor.examine import examine as examine
from anejax.engine.doctor.timing import profile_of as profile_of
