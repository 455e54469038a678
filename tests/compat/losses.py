"""Losses of ten steps of each program of tests/interop/programs.py, as JSON: by jax, or under ``anejax.compat``.

``python -m tests.compat.losses > tests/compat/losses.json`` writes those of jax;
``python -m anejax.compat -m tests.compat.losses NAME`` prints those of one program by anejax.
"""

import json
import sys
import warnings

import jax
import numpy as np

from tests.interop.programs import PROGRAMS


def losses(program):
    """Ten losses of a program, jitted."""
    step, state = program()
    step, seen = jax.jit(step), []
    for _ in range(10):
        state, loss = step(state)
        seen.append(np.asarray(loss).tolist())
    return seen


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    chosen = [p for p in PROGRAMS if p.__name__ in sys.argv[1:]] or PROGRAMS
    print(json.dumps({p.__name__: losses(p) for p in chosen}, indent=0))
