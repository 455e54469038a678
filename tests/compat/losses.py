"""Losses of ten steps of each program of tests/interop/programs.py, as JSON: by jax, or under ``anejax.compat``.

``python -m tests.compat.losses > tests/compat/losses.json`` writes those of jax, and how far they move when every float
of the state is moved by half of a unit in its last place before each step, which is what one rounding may do;
``python -m anejax.compat -m tests.compat.losses NAME`` prints those of one program by anejax.
"""

import json
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from tests.interop.programs import PROGRAMS

RUNS = 16  # with states that are moved


def losses(step, state, moved=lambda state: state):
    """Ten losses of a jitted step; ``moved`` changes the state before each of them."""
    seen = []
    for _ in range(10):
        state, loss = step(moved(state))
        seen.append(np.asarray(loss).tolist())
    return seen


def rounded(rng):
    """Moves the floats of a state by 2^-24 of themselves, up or down."""

    def leaf(x):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        by = 2.0**-24 * rng.choice([-1, 1], x.shape)
        return jnp.asarray(np.asarray(x, np.float64) * (1 + by), x.dtype)

    return lambda state: jax.tree.map(leaf, state)


def units(step, state, plain):
    """How far roundings move each loss: the root mean square over the runs, relative to the loss, at least that of one
    rounding, and no less than for the losses before."""
    runs = [losses(step, state, rounded(np.random.default_rng(i))) for i in range(RUNS)]
    moved = np.sqrt(np.mean((np.asarray(runs) / plain - 1) ** 2, 0))
    return (np.maximum.accumulate(np.maximum(moved, 2.0**-24)) * np.abs(plain)).tolist()


def made(program):
    """The losses of a program; by jax, with their units."""
    step, state = program()
    step = jax.jit(step)
    plain = losses(step, state)
    if "anejax" in sys.modules:
        return plain
    return {"losses": plain, "units": units(step, state, np.asarray(plain))}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    chosen = [p for p in PROGRAMS if p.__name__ in sys.argv[1:]] or PROGRAMS
    print(json.dumps({p.__name__: made(p) for p in chosen}, indent=0))
