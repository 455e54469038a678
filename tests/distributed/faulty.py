"""A process that goes wrong, and one that computes on: `mpiexec -n 2 python -m tests.distributed.faulty HOW`."""

from __future__ import annotations

import os
import signal
import sys
import time

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

total = aj.pmap(lambda x: lax.psum(x, "i"), axis_name="i")
total(jnp.ones((1, 2)))
if aj.process_index() == 1:
    match sys.argv[1]:
        case "raises":
            raise ValueError("bad data")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "ends":
            sys.exit()
        case "interrupted":
            os.kill(os.getpid(), signal.SIGINT)
        case "other shape":
            total(jnp.ones((1, 3)))
        case "other collective":
            aj.pmap(lambda x: lax.pmax(x, "i"), axis_name="i")(jnp.ones((1, 2)))
        case "stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "never comes":
            time.sleep(60)
total(jnp.ones((1, 2)))
print("finished", flush=True)
