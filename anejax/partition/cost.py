"""Predicts the time of a segment on either device, in microseconds, to decide between them.

The time on the engine is that of mil/cost.py and of the casts that the CPU device does for it. The time on the CPU
device is FLOP divided by the speed of its matrix products or convolutions, plus bytes divided by the speed of its
memory. Each equation is charged for the bytes that it writes, because elementwise chains run in one pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from anejax.core.graph import Eqn, Graph
from anejax.mil.cost import Cost
from anejax.passes.inline import INLINED
from anejax.transforms.control.scan import scan_p

# The rates of an M1, the slowest chip; later chips are up to twice as fast, and so are their engines. This project did
# not measure them on a Mac; `anejax doctor` does.
HOST_TFLOPS = 1.4  # float32 products in Accelerate on M1 Max (nod.ai, "1.4 TFLOPs of FP32 performance", 2021)
# float32 convolutions, which the CPU device computes without Accelerate: the peak of four cores at 3.2 GHz, each with
# four units for four multiply-adds
HOST_CONV_TFLOPS = 0.41
HOST_GBS = 60.0  # of the 68.25 GB/s for which M1's memory is rated
CAST_BYTES = 6  # float32 read and float16 written, or the other way round


def engine_us(cost: Cost, segment: Graph, dispatch: bool = True) -> float:
    """The predicted time on the engine, casts included; without the floor of a dispatch unless asked for."""
    crossing = sum(v.aval.size for v in (*segment.inputs, *segment.outputs))
    floor = cost.floor_us if dispatch else 0.0
    return floor + cost.us - cost.floor_us + crossing * CAST_BYTES / HOST_GBS * 1e-3


def host_us(eqns: Iterable[Eqn]) -> float:
    """The predicted time of equations on the CPU device."""
    return sum(map(_host_us, eqns))


def _host_us(eqn: Eqn) -> float:
    if eqn.primitive is scan_p:
        return eqn.params["length"] * host_us(eqn.params["body"].eqns)
    if eqn.primitive.name in INLINED and "graph" in eqn.params:  # the CPU device gets the parts
        return host_us(eqn.params["graph"].eqns)
    rate = HOST_CONV_TFLOPS if eqn.primitive.name == "conv_general_dilated" else HOST_TFLOPS
    return product_flops(eqn) / rate * 1e-6 + sum(v.aval.nbytes for v in eqn.outputs) / HOST_GBS * 1e-3


def product_flops(eqn: Eqn) -> int:
    """2 per multiply-add of a matrix product or a convolution, with zeros between elements left out, and in all turns
    of a scan; 0 for other equations."""
    if eqn.primitive is scan_p:
        return eqn.params["length"] * sum(map(product_flops, eqn.params["body"].eqns))
    if eqn.primitive.name == "dot_general":
        (axes, _), _ = eqn.params["dimension_numbers"]
        return 2 * eqn.outputs[0].aval.size * math.prod(eqn.inputs[0].aval.shape[a] for a in axes)
    if eqn.primitive.name == "conv_general_dilated":
        weight, (_, weight_spec, _) = eqn.inputs[1].aval, eqn.params["dimension_numbers"]
        terms = weight.size // max(weight.shape[weight_spec[0]], 1)
        return 2 * eqn.outputs[0].aval.size * terms // math.prod(eqn.params["lhs_dilation"])
    return 0
