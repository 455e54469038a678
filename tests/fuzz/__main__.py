"""Runs random programs on the native CPU device against NumPy: ``python -m tests.fuzz --count 1000 --seed 0``.

Programs run in child processes, so that one that crashes is a finding like others. ``--shrink`` makes the program of
one seed small and prints it, with the MIL text of its second form.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from anejax.lower.to_mil import lower
from anejax.mil.text import to_text
from tests.fuzz.children import command, in_child, run
from tests.fuzz.generate import Program, generate
from tests.fuzz.running import MODES, check, plain
from tests.fuzz.shrinking import shrink


def main() -> int:
    parser = command("tests.fuzz", __doc__)
    parser.add_argument("--modes", default=",".join(MODES), help=f"of {', '.join(MODES)}")
    options = parser.parse_args()
    modes = options.modes.split(",")
    if options.shrink:
        return _shrink(options.seed, modes)
    again = f"--modes {options.modes}"
    return run("tests.fuzz", options, lambda seed: check(generate(seed), modes), f"each as {', '.join(modes)}", again)


def _shrink(seed: int, modes: Sequence[str]) -> int:
    fails = lambda program: bool(in_child(lambda: check(program, modes)))  # noqa: E731
    program = generate(seed)
    if not fails(program):
        print(f"seed {seed}: no finding")
        return 0
    small: Program = shrink(program, fails)
    print(in_child(lambda: check(small, modes)), small.graph, f"donated: {small.donated}", sep="\n")
    print(to_text(lower(plain(small.graph))))
    return 1


if __name__ == "__main__":
    sys.exit(main())
