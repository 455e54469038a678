"""What a segment costs on either device, in microseconds, for the decision between them.

The engine's side is mil/cost.py and the casts that the CPU device makes for it. The CPU device's side is FLOP over the
speed of its matrix products and bytes over that of its memory: each equation is charged what it writes, since
elementwise chains are one pass.
"""

from __future__ import annotations

from collections.abc import Iterable

from anejax.core.graph import Eqn, Graph
from anejax.mil.cost import Cost
from anejax.transforms.control.scan import scan_p

# Of an M1, the slowest of the chips; later ones are up to twice as fast, and the engine with them. Not measured by this
# project on a Mac: `anejax doctor` does.
HOST_TFLOPS = 1.4  # float32 products in Accelerate on M1 Max (nod.ai, "1.4 TFLOPs of FP32 performance", 2021)
HOST_GBS = 60.0  # of the 68.25 GB/s that M1's memory is rated at
CAST_BYTES = 6  # float32 read and float16 written, or the other way round


def engine_us(cost: Cost, segment: Graph, dispatch: bool = True) -> float:
    """The predicted time on the engine, casts included; without the floor of a dispatch unless asked for."""
    crossing = sum(v.aval.size for v in (*segment.inputs, *segment.outputs))
    floor = cost.floor_us if dispatch else 0.0
    return floor + cost.us - cost.floor_us + crossing * CAST_BYTES / HOST_GBS * 1e-3


def host_us(flops: int, eqns: Iterable[Eqn]) -> float:
    """The predicted time of equations on the CPU device; ``flops`` are those of their products."""
    return flops / HOST_TFLOPS * 1e-6 + sum(map(written, eqns)) / HOST_GBS * 1e-3


def written(eqn: Eqn) -> int:
    """The bytes that an equation writes, a scan those of all its turns."""
    if eqn.primitive is scan_p:
        return eqn.params["length"] * sum(map(written, eqn.params["body"].eqns))
    return sum(v.aval.nbytes for v in eqn.outputs)
