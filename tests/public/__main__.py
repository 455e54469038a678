"""Writes ``__all__`` of every public module: ``python -m tests.public``."""

from __future__ import annotations

from tests.public import surface

for module in surface.modules():
    surface.source_of(module).write_text(surface.written(module))
