"""Runs the notebooks and writes them with their outputs: ``python notebooks/build.py [--short] [--to DIR] [NAME...]``.

The .py files are the source; the .ipynb files beside them are what this program makes of them.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import jupytext
import nbclient
import nbformat

HERE = Path(__file__).parent
SECONDS = 600  # for one cell
LOG = "ODIE [default]: Loading function"  # of Core AI's runtime


def names() -> list[str]:
    """All notebooks, in order."""
    return sorted(path.stem for path in HERE.glob("[0-9]*.py"))


def source(name: str) -> nbformat.NotebookNode:
    """The notebook of the .py file, without outputs; its cells are named by their position."""
    notebook = jupytext.read(HERE / f"{name}.py")
    for i, cell in enumerate(notebook.cells):
        cell.id = f"cell-{i}"
        cell.metadata.pop("lines_to_next_cell", None)
    return notebook


def execute(name: str, short: bool) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run. Raises CellExecutionError, which shows the cell, when one fails."""
    notebook = source(name)
    root = str(HERE.parent)
    settings = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    settings["ANEJAX_NOTEBOOK"] = "short" if short else "full"
    client = nbclient.NotebookClient(notebook, timeout=SECONDS, record_timing=False, kernel_name="python3")
    client.execute(cwd=str(HERE), env=settings)
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = list(filter(None, map(_without_log, cell.outputs)))
        if "not-kept" in cell.metadata.get("tags", []):
            cell.outputs = []
    return notebook


def _without_log(output: nbformat.NotebookNode) -> nbformat.NotebookNode | None:
    """The output without the lines that Core AI's runtime writes when it loads a function; None if nothing is left."""
    if output.output_type != "stream" or output.name != "stderr":
        return output
    kept = [line for line in output.text.splitlines(keepends=True) if not line.startswith(LOG)]
    output.text = "".join(kept)
    return output if output.text.strip() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--short", action="store_true", help="the short setting")
    parser.add_argument("--to", type=Path, default=HERE, metavar="DIR", help="where to write (default: beside the .py)")
    given = parser.parse_args()
    given.to.mkdir(parents=True, exist_ok=True)
    for name in given.names or names():
        begun = time.monotonic()
        nbformat.write(execute(name, given.short), given.to / f"{name}.ipynb")
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
