"""Partition: divides a Graph between the Neural Engine and the CPU device, into segments in the order in which they
run.

Which equations can the engine run? (ability)  ->  Which values must keep float32? (state, fixed)
->  casts at the border (border)  ->  as few programs as the order allows (levels)
->  Which segments are worth a dispatch? (plan, which asks cost and starts again)

docs/partition.md explains each step.
"""

from anejax.partition.plan import Loop as Loop
from anejax.partition.plan import Plan as Plan
from anejax.partition.plan import Segment as Segment
from anejax.partition.plan import donated as donated
from anejax.partition.plan import partition as partition
