"""Writes what tests and docs/parity.md take from the installed jax, and that page: ``python -m tests.parity``."""

import json

import jax

from tests.parity import arguments, table

table.stored(jax.__version__).write_text(json.dumps(table.names_of_jax(), indent=0) + "\n")
arguments.store()
table.PAGE.write_text(table.markdown() + arguments.markdown())
