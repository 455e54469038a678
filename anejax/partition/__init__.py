"""Partition: a Graph divided between the Neural Engine and the CPU device, as segments in an order in which they run.

what the engine can have (ability)  ->  what must keep float32 (state)  ->  casts at the border (border)
->  as few programs as the order allows (levels)  ->  what pays (plan, which asks cost and starts again)
"""

from anejax.partition.plan import Loop as Loop
from anejax.partition.plan import Plan as Plan
from anejax.partition.plan import Segment as Segment
from anejax.partition.plan import donated as donated
from anejax.partition.plan import partition as partition
