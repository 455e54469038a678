"""Files of the CPU device include headers of their own folder and of lower ones only (docs/native.md)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CPU = Path(__file__).parents[2] / "native/src/cpu"
LAYERS = [{"graph"}, {"tile"}, {"kernels"}, {"plan", "steps"}, {"import"}, {"device.cpp"}]
LAYER = {folder: number for number, folders in enumerate(LAYERS) for folder in folders}
FILES = sorted(path for path in CPU.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CPU)))
def test_includes_point_down(path: Path) -> None:
    own = LAYER[path.relative_to(CPU).parts[0]]
    for folder in re.findall(r'#include "cpu/(\w+)/', path.read_text()):
        assert LAYER[folder] <= own, f"{path.name} includes a header of {folder}, which is above it"


def test_the_page_lists_the_folders_in_order() -> None:
    page = (CPU.parents[2] / "docs/native.md").read_text()
    rows = re.findall(r"^\| `(\w+(?:\.cpp)?)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(LAYER) == sorted(path.name for path in CPU.iterdir())
    assert [LAYER[row] for row in rows] == sorted(LAYER.values())


def test_the_setting_names_the_levels_of_the_build() -> None:
    levels = re.findall(r'"(v\d)\|', (CPU.parents[2] / "CMakeLists.txt").read_text())
    setting = re.search(r'"ANEJAX_CPU_LEVEL": \(_one_of\((.*?)\)', (CPU.parents[2] / "anejax/config.py").read_text())
    assert setting and re.findall(r"v\d", setting[1]) == levels
