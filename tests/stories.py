"""Where tests find the files of the stories family: in the data directory, or in ``shared/data`` near the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from anejax.data import files
from anejax.paths import data_dir

_PLACES = [parent / "shared" / "data" for parent in Path(__file__).parents]


def find(name: str, fetch: bool = False) -> Path:
    """The file of that name, fetched if need be and asked for. Skips the test when it is nowhere."""
    folders = [data_dir(), *(place / kind for place in _PLACES for kind in ("llama2c", "tinystories"))]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    if fetch and name in files.sources():
        try:
            return files.ensure(name)
        except files.DataError as err:
            pytest.skip(str(err))
    pytest.skip(f"{name} is not here; `anejax fetch` gets what can be had")
