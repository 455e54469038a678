"""The part of docs/compat.md that is generated: ``python -m tests.compat.page`` writes it."""

import json
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "compat.md"
MARK = "<!-- made by python -m tests.compat.page -->\n"
LIBRARIES = ("optax", "flax.linen", "flax.nnx", "equinox", "haiku")
_IMPORTS = """
import importlib, json, sys, warnings
import anejax.compat, anejax.compat.modules
warnings.simplefilter("ignore")
anejax.compat.install()
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(anejax.compat.modules.missed)))
"""


def missed(library: str) -> list[str]:
    """The names that a library asks of jax while it is imported, and that anejax does not have."""
    done = subprocess.run([sys.executable, "-c", _IMPORTS, library], capture_output=True, text=True, check=True)
    return [n for n in json.loads(done.stdout) if not n.startswith("jax.numpy.") or n.count(".") == 2]


def made() -> str:
    """The table of what libraries miss."""
    lines = ["## Names that libraries miss", "", "| library | names |", "|---|---|"]
    for library in LIBRARIES:
        names = " ".join(f"`{n.removeprefix('jax.')}`" for n in missed(library))
        lines.append(f"| `{library}` | {names or 'none'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(PAGE.read_text().partition(MARK)[0] + MARK + made())
