"""Runs random compositions of transformations with anejax and with jax on the CPU.

``python -m tests.compositions --count 100 --seed 0`` runs many; ``--shrink`` makes the program of one seed small and
prints it as Python text; ``--record`` writes what jax gives for those of the short run (``recorded``).
"""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import sys

from tests.compositions import recorded
from tests.compositions.generate import Program, generate
from tests.compositions.running import MODES, check
from tests.compositions.shrinking import shrink
from tests.fuzz.children import command, in_child, run

BATCH = 50  # programs of one child, which holds what jax compiles for them


def main() -> int:
    parser = command("tests.compositions", __doc__)
    parser.add_argument("--record", action="store_true", help="write the fixture of the short run")
    options = parser.parse_args()
    if options.record:
        recorded.write()
        return 0
    if options.shrink:
        return _shrink(options.seed)
    return run(
        "tests.compositions", options, lambda seed: check(generate(seed)), f"each {', '.join(MODES)}", batch=BATCH
    )


def _shrink(seed: int) -> int:
    fails = lambda program: bool(in_child(lambda: check(program)))  # noqa: E731
    program = generate(seed)
    if not fails(program):
        print(f"seed {seed}: no finding")
        return 0
    small: Program = shrink(program, fails)
    print(
        in_child(lambda: check(small)), small, f"x = np.array({small.point.tolist()}, np.{small.point.dtype})", sep="\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
