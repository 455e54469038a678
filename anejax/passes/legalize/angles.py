"""sin and cos for the engine, by a polynomial on a quarter turn.

The engine has its own sin and cos from A15 on only, and those are off by 0.04 to 0.12 at the seams of their tables
(docs/sources.md, "Angles").
"""

from __future__ import annotations

import math
from typing import Any

from anejax.ops import arithmetic as A
from anejax.passes.legalize.constants import const
from anejax.passes.legalize.rules import rule

HALF_TURN = (3.140625, math.pi - 3.140625)  # the first has 8 digits, so that few half turns are exact in float16
SINE = (-1 / 6, 1 / 120, -1 / 5040)  # Taylor's series: off by 1.6e-4 at a quarter turn, a third of float16's spacing


@rule("sin", targets=("ane",))
def _sin(x: Any) -> Any:
    """x = r + k pi, and sin x = (-1) ** k sin r"""
    turns = A.floor(A.add(A.mul(x, const(x, 1 / math.pi)), const(x, 0.5)))
    return A.mul(_sine(_less(x, turns)), _parity(turns))


@rule("cos", targets=("ane",))
def _cos(x: Any) -> Any:
    """x = r + (k + 1/2) pi, and cos x = -(-1) ** k sin r"""
    turns = A.floor(A.mul(x, const(x, 1 / math.pi)))
    return A.neg(A.mul(_sine(_less(x, A.add(turns, const(x, 0.5)))), _parity(turns)))


def _less(x: Any, turns: Any) -> Any:
    """x - turns * pi"""
    for part in HALF_TURN:
        x = A.sub(x, A.mul(turns, const(x, part)))
    return x


def _parity(turns: Any) -> Any:
    """1 for an even number, -1 for an odd one."""
    half = A.mul(turns, const(turns, 0.5))
    rest = A.sub(half, A.floor(half))  # 0 or 1/2
    return A.sub(const(turns, 1), A.mul(rest, const(turns, 4)))


def _sine(r: Any) -> Any:
    square = A.mul(r, r)
    sum = const(r, SINE[-1])
    for c in (*SINE[-2::-1], 1.0):
        sum = A.add(A.mul(sum, square), const(r, c))
    return A.mul(r, sum)
