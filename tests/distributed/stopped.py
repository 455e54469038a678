"""`anejax train` whose process 1 gets a Ctrl-C in step 4: `mpiexec -n 4 python -m tests.distributed.stopped chars`."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import anejax as aj
from anejax import cli
from anejax.train import language

make_step = language.train_step


def stopping(*args: Any) -> Any:
    step, calls = make_step(*args), []

    def counted(*inputs: Any) -> Any:
        calls.append(1)
        if len(calls) == 4 and aj.process_index() == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return step(*inputs)

    return counted


language.train_step = stopping
sys.exit(cli.main(["train", *sys.argv[1:]]))
