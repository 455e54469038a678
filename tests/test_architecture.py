"""docs/architecture.md: its example runs as printed, and its figure of the rooms has the layers of test_layers.py."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

from tests.test_layers import LAYERS

PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"


def test_the_example_runs_as_printed() -> None:
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    text = re.sub(r"^```(python)?$", "", PAGE.read_text(), flags=re.M)  # a fence would count as output
    found = doctest.DocTestParser().get_doctest(text, {}, "architecture.md", str(PAGE), 0)
    result = doctest.DocTestRunner(optionflags=flags).run(found)
    assert result.failed == 0 and result.attempted >= 10


def rooms_of_the_figure() -> dict[str, int]:
    layer, found = -1, {}
    for number, names in re.findall(r"^ *(\d*) \| (.*?) +\|$", PAGE.read_text(), re.M):
        layer = int(number) if number else layer
        found |= dict.fromkeys(names.split(), layer)
    return found


def test_the_figure_shows_every_room_at_its_layer() -> None:
    assert rooms_of_the_figure() == {r: n for r, n in LAYERS.items() if not r.startswith("__")}


def test_the_table_names_every_room_once_at_its_layer() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*?) \| .* \|$", PAGE.read_text(), re.M)
    named = [(name, int(layer)) for layer, names in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(named) == sorted((name, layer) for name, layer in LAYERS.items() if not name.startswith("__"))
