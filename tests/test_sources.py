"""Comments cite headings that docs/sources.md has, and nothing cites a document outside the repository."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("anejax", "native", "benchmarks", "tests", "docs")
SUFFIXES = (".py", ".cpp", ".h", ".sh", ".md")
FILES = [p for f in FOLDERS for p in sorted((ROOT / f).rglob("*")) if p.suffix in SUFFIXES and p != Path(__file__)]
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "docs" / "sources.md").read_text(), re.M)


def cited(text: str) -> list[str]:
    """The headings that ``text`` cites, whose names may be broken over two lines of a comment."""
    joined = re.sub(r"\n[ #/*]*", " ", text)
    return [
        h
        for tail in re.findall(r'docs/sources\.md((?:,? (?:and )?"[^"]+")+)', joined)
        for h in re.findall(r'"([^"]+)"', tail)
    ]


def test_every_cited_heading_is_on_the_page() -> None:
    found = {h for p in FILES for h in cited(p.read_text())}
    assert len(found) > 8 and found <= set(HEADINGS), found - set(HEADINGS)


def test_no_comment_cites_notes_that_are_not_here() -> None:
    notes = re.compile(
        r"\(research|research:|ane-facts|aneforge-training|mac-audit|e5rt \d|coreai \d|mil_ops\.json|\.\./shared"
    )
    found = [f"{p.relative_to(ROOT)}: {m[0]}" for p in FILES if (m := notes.search(p.read_text()))]
    assert not found
