"""Writes names-VERSION.json of the installed jax, and docs/parity.md from the verdicts: ``python -m tests.parity``."""

import json

import jax

from tests.parity import table

table.stored(jax.__version__).write_text(json.dumps(table.names_of_jax(), indent=0) + "\n")
table.PAGE.write_text(table.markdown())
