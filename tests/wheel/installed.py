"""Checks an installed wheel, in an environment without a checkout: ``python installed.py``. Needs no other package.

The script has a folder to itself, because Python looks for modules beside a script first.

``--train`` also trains the demo on 256 images of CIFAR-10 for one epoch. It fetches the data if it is not cached, for
which the mirror needs the extra ``data``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def anejax(*arguments: str) -> str:
    """What the command prints. Its script is beside the interpreter."""
    program = Path(sys.executable).with_name("anejax")
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def main() -> None:
    import anejax as aj
    import anejax.numpy as jnp

    where = Path(aj.__file__).parent
    assert "site-packages" in where.parts, f"{where} is a checkout, not an installed wheel"
    assert (where / "py.typed").exists()
    assert version("anejax") == aj.__version__
    x, y = jnp.ones((3, 4)), jnp.ones((4, 2))
    assert float(aj.jit(lambda x, y: (x @ y).sum())(x, y)) == 24.0
    assert float(aj.jit(aj.grad(lambda v: jnp.tanh(v) ** 2))(0.0)) == 0.0
    assert anejax("--version").split() == ["anejax", aj.__version__]
    assert "cifar10" in anejax("train", "--help")
    assert "_anejax" in anejax("completion", "bash")
    if "--train" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            print(anejax("train", "cifar10", "--preset", "demo", "--subset", "256", "--epochs", "1", "--out", folder))
    print(f"anejax {aj.__version__} works in {sys.version.split()[0]}, from {where}")


if __name__ == "__main__":
    main()
