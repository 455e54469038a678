"""Effects of loops and branches, separated from their computation. The runtime replays them after a program has run.

A ``replay_scan`` holds the effects of a scan's body; its operands are the values that they need, stacked. A
``replay_cond`` holds the effects of branches. ``passes/effects`` makes both.
"""

from __future__ import annotations

from typing import Any

from anejax.core.array import DeviceArray
from anejax.core.graph import Graph
from anejax.core.primitive import Primitive, Refused
from anejax.transforms.control import cond, scan

AFTER_ALL = Refused("it is made from a program that is about to be lowered, and no transformation follows")
BY_THE_RUNTIME = Refused("the runtime does it after the program has run")


def _scan(*stacked: DeviceArray, body: Graph, length: int, reverse: bool) -> list[Any]:
    return scan.in_python(*stacked, body=body, num_consts=0, num_carry=0, length=length, reverse=reverse)


def _effect(name: str, impl: Any) -> Primitive:
    prim = Primitive(name, multiple_results=True, effect=True, higher_order=True)
    return prim.fill(
        abstract=lambda *avals, **params: [], impl=impl, jvp=AFTER_ALL, transpose=AFTER_ALL, batch=AFTER_ALL,
        mil=BY_THE_RUNTIME,
    )  # fmt: skip


replay_scan_p = _effect("replay_scan", _scan)
replay_cond_p = _effect("replay_cond", cond.run_branch)
