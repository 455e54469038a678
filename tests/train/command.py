"""The ``anejax`` command with a made-up data set in the place of CIFAR-10.

``python -m tests.train.command DIRECTORY ARGUMENTS``: DIRECTORY is made to hold the data if it does not.
"""

from __future__ import annotations

import hashlib
import sys
import time
from pathlib import Path

import numpy as np

from anejax.cli import main
from anejax.data import cifar10
from anejax.train import classify

NAMES = [f"data_batch_{i}.bin" for i in range(1, 6)] + [cifar10.TEST]


def make(directory: Path) -> None:
    """Writes six batches of 16 images each, in which the class is the brightness of one colour."""
    directory.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(NAMES):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 10, 16)
        planes = rng.integers(0, 60, (16, 3, 1024)) + (labels * 19)[:, None, None] * [[[1], [0], [0]]]
        records = np.concatenate([labels[:, None], planes.reshape(16, -1)], axis=1)
        (directory / name).write_bytes(records.astype(np.uint8).tobytes())


def use(directory: Path) -> None:
    """Makes ``directory`` what the loader takes for CIFAR-10."""
    if not (directory / cifar10.TEST).exists():
        make(directory)
    files = {n: hashlib.md5((directory / n).read_bytes()).hexdigest() for n in NAMES}
    facts = cifar10.sources() | {"files": files}
    cifar10.sources = lambda: facts


def slow_down() -> None:
    """Makes a step take a tenth of a second, so that there is time to be killed."""
    make_step = classify.train_step

    def slow(*args):
        step = make_step(*args)
        return lambda *inputs: (time.sleep(0.1), step(*inputs))[1]

    classify.train_step = slow


if __name__ == "__main__":
    slow_down()
    use(Path(sys.argv[1]))
    sys.exit(main([*sys.argv[2:], "--data", sys.argv[1]]))
