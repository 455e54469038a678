"""A release needs these to agree: versions, targets in workflows, Pythons, issue templates, files of the package."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import anejax

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()
WORKFLOWS = {p.name: p.read_text() for p in sorted((ROOT / ".github" / "workflows").glob("*.yml"))}
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def test_the_version_is_one() -> None:
    assert PROJECT["project"]["version"] == anejax.__version__


@pytest.mark.parametrize(
    "text", [*WORKFLOWS.values(), (ROOT / "README.md").read_text(), (ROOT / "CONTRIBUTING.md").read_text()]
)
def test_targets_that_are_named_exist(text: str) -> None:
    for target in re.findall(r"(?:`|run: |^)make ([a-z][a-z-]+)", text, re.M):
        assert re.search(rf"^{target}:", MAKEFILE, re.M), target


def test_every_target_without_a_file_is_phony() -> None:
    phony = {t for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.M) for t in line.split()}
    assert set(re.findall(r"^([a-z][a-z-]+):", MAKEFILE, re.M)) <= phony


def test_wheels_are_tested_in_each_python_that_the_tests_run_on() -> None:
    tested = re.findall(r'"(3\.\d+)"', re.findall(r"python: \[(.*)\]", WORKFLOWS["test.yml"])[0])
    built = PROJECT["tool"]["cibuildwheel"]["build"]
    assert [f"cp{v.replace('.', '')}-*" for v in tested] == built
    assert PROJECT["project"]["requires-python"] == f">={tested[0]}"
    assert all(f"python{v}" in MAKEFILE for v in tested)


def test_wheels_are_built_for_each_system() -> None:
    for system in ("ubuntu-24.04", "ubuntu-24.04-arm", "macos-14"):
        assert system in WORKFLOWS["release.yml"] and system in WORKFLOWS["test.yml"]
    assert "tests/wheel/installed.py" in PROJECT["tool"]["cibuildwheel"]["test-command"]


def test_reports_ask_what_the_doctor_says() -> None:
    forms = [p for p in TEMPLATES if p.name != "config.yml"]
    assert len(forms) >= 2
    assert all("anejax doctor" in p.read_text() for p in forms)


def test_the_package_has_types() -> None:
    assert (ROOT / "anejax" / "py.typed").exists()
