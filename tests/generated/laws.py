"""Specs of scipy.stats: every function of every law, over its support and beyond.

Values are held against SciPy in float64, where that has the function and is finite; types and derivatives against jax.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as exact
import scipy.stats as st

from tests.generated.draw import FLOATS, Call, Draw, is_array
from tests.generated.spec import Build, spec
from tests.generated.special import EVERYWHERE, PLUS, UNIT, of

FAR = (-12.0, 12.0, (*EVERYWHERE, 40.0, -40.0))
RIGHT = (-1.0, 20.0, (*EVERYWHERE, 2.0, 60.0))
INSIDE = (-0.2, 1.2, UNIT)
SHAPE = (0.1, 30.0, ())
CHANCE = (0.02, 0.98, ())
LEVEL = (0.0, 1.0, UNIT)
COUNT = (-1, 30, ())


def law(*ranges: Any, loc: Any = (-2, 2), scale: Any = (0.25, 3), whole: tuple[int, ...] = (), **fields: Any) -> Build:
    """Arguments for each (low, high, edges), then loc and scale or neither; loc is whole where the first argument is."""

    def build(d: Draw, name: str) -> Call:
        call = of(*ranges, whole=whole, **fields)(d, name)
        x = call.args[0]
        shape, dtype = getattr(x, "shape", ()), x.dtype if is_array(x) and x.dtype.kind != "i" else np.dtype("float32")
        options = {}
        if loc:
            near = d.pick(-1, 2) if 0 in whole else d.array(d.partner(shape), dtype, *loc, special=False)
            options["loc"] = (d.pick(1, near),)
        if scale:
            options["scale"] = (d.pick(1.5, 2, d.array(d.partner(shape), dtype, *scale, special=False)),)
        return d.call(name, *call.args, **d.options(**options))

    return build
