"""Links and pictures of the documentation lead somewhere, the site has every page, and programs of the guides run.

``make docs`` checks the same and more when it builds the site; this needs no mkdocs.
"""

from __future__ import annotations

import re
import struct
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(ROOT / f for f in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))])
GENERATED = {"contributing.md", "changelog.md", "commands.md"}
LINK = re.compile(r"(!?)\[([^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\(([^()\s]+)\)")
GUIDES = ("first_hour.md", "coming_from_jax.md", "coming_from_pytorch.md", "index.md")


def prose(path: Path) -> str:
    """A page without its blocks of code and its code in lines, in which brackets are no links."""
    text = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", lambda m: "`" + re.sub(r"[\[\]()]", "", m[0][1:-1]) + "`", text)


def anchors(path: Path) -> set[str]:
    """The ids of a page's headings, as GitHub and mkdocs make them."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
    found = set()
    for title in re.findall(r"^#+ (.+)$", text, re.M):
        plain = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found |= {re.sub(r"\s", "-", plain), re.sub(r"[\s-]+", "-", plain)}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for _, _, target in LINK.findall(prose(page)):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or found.suffix != ".md" or anchor in anchors(found), f"{page.name}: no heading {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_pictures_are_pictures_and_described(page: Path) -> None:
    for picture, words, target in LINK.findall(prose(page)):
        if picture:
            assert len(words.split()) > 2, f"{page.name}: say what {target} shows"
            assert min(size(page.parent / target)) > 50


def size(path: Path) -> tuple[float, float]:
    if path.suffix == ".svg":
        box = ET.parse(path).getroot().get("viewBox", "").split()
        return float(box[2]), float(box[3])
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", head[16:24])


def test_the_site_has_every_page() -> None:
    nav = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]
    listed = set(re.findall(r"(\w+\.md)$", nav, re.M))
    assert listed == {p.name for p in DOCS.glob("*.md")} | GENERATED


def test_links_of_the_site_are_checked() -> None:
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "strict: true" in settings and "anchors: warn" in settings


@pytest.mark.filterwarnings("ignore::anejax.errors.EngineFallbackWarning")
@pytest.mark.parametrize("name", GUIDES)
def test_programs_of_the_guides_run(name: str) -> None:
    """In order, in one namespace. ``py`` instead of ``python`` marks programs of others."""
    space: dict[str, object] = {}
    programs = re.findall(r"^( *)```python\n(.*?)^\1```", (DOCS / name).read_text(), re.M | re.S)
    assert programs
    for _, program in programs:
        exec(compile(textwrap.dedent(program), name, "exec"), space)
