"""Writes names.json from the installed jax, and docs/parity.md from the verdicts: ``python -m tests.parity``."""

import json

import jax

from tests.parity import table

table.STORED.write_text(json.dumps(table.names_of_jax(), indent=0) + "\n")
table.PAGE.write_text(table.markdown(jax.__version__))
