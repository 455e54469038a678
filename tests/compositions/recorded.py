"""What jax gives for the programs of the short run, in a file: jax takes several times as long for them as anejax.

``python -m tests.compositions --record`` writes it anew after a change of the generator. Each value stands beside a
digest of the program's text, so that a value cannot be held against another program.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jax
import numpy as np

from tests.compositions.generate import Program, generate
from tests.compositions.running import by_jax

FILE = Path(__file__).parent / "recorded.json"
COUNT = 300  # seeds from 0 on


def read() -> dict[int, tuple[str, np.ndarray]]:
    """By seed: the digest of the program, and jax's result."""
    records = json.loads(FILE.read_text())
    return {int(seed): (d, np.array(value, dtype)) for seed, (d, dtype, value) in records.items()}


def write() -> None:
    values: dict[int, np.ndarray | None] = {}
    for seed in range(COUNT):
        if seed % 50 == 0:
            jax.clear_caches()  # of some GB
        values[seed] = by_jax(generate(seed))
    lines = [
        f'"{seed}": {json.dumps([digest(generate(seed)), value.dtype.name, value.tolist()])}'
        for seed, value in values.items()
        if value is not None
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def digest(program: Program) -> str:
    return hashlib.sha256(f"{program} {program.point.tolist()}".encode()).hexdigest()[:16]
