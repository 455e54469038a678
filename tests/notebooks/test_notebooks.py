"""The notebooks: both forms agree, the code compiles, and (long) each runs at its short setting."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from anejax.coreai import asset
from anejax.data import cifar10
from anejax.errors import AnejaxError
from notebooks import build
from tests.stories import find

NAMES = pytest.mark.parametrize("name", build.names())

# two names at least, with no part of a relative path, an address or a tag before them; or a drive
ABSOLUTE = re.compile(r"(?:file://|(?<![\w.~</]))/[\w.~-]+/[\w.~-]*|\b[A-Za-z]:\\")


def shown(name: str) -> nbformat.NotebookNode:
    return nbformat.read(build.HERE / f"{name}.ipynb", 4)


def texts(notebook: nbformat.NotebookNode) -> Iterator[str]:
    """Metadata, sources and everything shown that is text."""
    yield str(notebook.metadata)
    for cell in notebook.cells:
        yield cell.source
        for out in cell.get("outputs", []):
            yield out.get("text", "")
            yield from (str(v) for kind, v in out.get("data", {}).items() if not kind.startswith("image/"))


def test_there_are_five() -> None:
    assert [name[:2] for name in build.names()] == ["01", "02", "03", "04", "05"]


@NAMES
def test_what_is_shown_is_what_the_source_says(name: str) -> None:
    """Run `make notebooks` when this fails."""
    cells = lambda notebook: [(c.cell_type, c.source, c.id) for c in notebook.cells]  # noqa: E731
    assert cells(shown(name)) == cells(build.source(name))
    nbformat.validate(shown(name))


@NAMES
def test_the_code_compiles_and_what_is_shown_has_run(name: str) -> None:
    code = [c for c in shown(name).cells if c.cell_type == "code"]
    compile("\n".join(c.source for c in code), name, "exec")
    assert [c.execution_count for c in code] == list(range(1, len(code) + 1))
    outputs = [o for c in code for o in c.outputs]
    assert not any(o.output_type == "error" or o.get("name") == "stderr" for o in outputs)
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 2


@NAMES
def test_nothing_of_the_machine_is_shown(name: str) -> None:
    assert not [m.group() for text in texts(shown(name)) for m in ABSOLUTE.finditer(text)]


@pytest.mark.parametrize(
    "text", ["/srv/a.py", 'open("/srv/a")', "PATH=/bin:/usr/bin", "file:///srv/a", r"C:\a", "<a>/srv/a"]
)
def test_absolute_paths_are_found(text: str) -> None:
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["a/b/c", "https://a.org/b/c", "./a/b", "../a/b", "~/a/b", "x / y / z", "</b></i>"])
def test_other_slashes_are_no_absolute_paths(text: str) -> None:
    assert not ABSOLUTE.search(text)


def put_cifar10(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 in a data directory, from wherever it can be had."""
    try:
        cifar10.load()
    except AnejaxError as err:
        pytest.skip(str(err))
    found = cifar10.find()
    assert found is not None
    (folder / "cifar10").symlink_to(found)


def put_stories(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stories260K.bin", "tok512.bin"):
        (folder / name).symlink_to(find(name))
    monkeypatch.setenv("ANEJAX_STORIES", str(find("valid.txt")))


DATA = {"02": put_cifar10, "03": put_stories}  # the others make theirs


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@NAMES
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.startswith("05") and not asset.available():
        pytest.skip("no coreai-core here")
    if name[:2] in DATA:
        DATA[name[:2]](tmp_path, monkeypatch)
        monkeypatch.setenv("ANEJAX_DATA", str(tmp_path))
    notebook = build.execute(name, short=True)
    assert any("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))


@pytest.mark.parametrize("name", build.names())
def test_only_notebooks_with_data_ask_for_it(name: str) -> None:
    text = (build.HERE / f"{name}.py").read_text()
    asks = any(word in text for word in ("files.ensure", "import cifar10", "cifar10.load"))
    assert asks == (name[:2] in DATA)
