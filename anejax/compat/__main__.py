"""``python -m anejax.compat script.py [arguments]``, or ``-m module [arguments]``: runs it with anejax as its jax."""

from __future__ import annotations

import os
import runpy
import sys

from anejax.compat import install


def main() -> int:
    """Runs the script or module of the command line; returns 2 where there is none."""
    arguments = sys.argv[1:]
    module = arguments[:1] == ["-m"]
    arguments = arguments[1:] if module else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m anejax.compat script.py [arguments] | -m module [arguments]", file=sys.stderr)
        return 0 if arguments else 2
    if not module and not os.path.exists(arguments[0]):
        print(f"[compat] expected a script, found no {arguments[0]}.", file=sys.stderr)
        return 2
    install()
    sys.argv = arguments
    if module:
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, os.path.dirname(os.path.abspath(arguments[0])))
        runpy.run_path(arguments[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
