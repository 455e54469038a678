"""`anejax doctor`: reports which parts of anejax work on this machine's CPU and Neural Engine, and how fast.

``examine`` runs the checks in order: the environment, every primitive that the engine has (legalized on the CPU device,
then on the engine), probes of points on which sources disagree, and timings. Without an engine its checks are skipped,
and say why. docs/engine.md explains how to read the first report of a Mac.
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
