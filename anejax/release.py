"""The version of this package; pyproject.toml has the same (tests/test_release.py)."""

VERSION = "0.1.0"
