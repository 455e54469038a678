"""A process that goes wrong, and one that computes on: `mpiexec -n 2 python -m tests.distributed.faulty HOW`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

second = "1" in map(os.environ.get, ("PMI_RANK", "OMPI_COMM_WORLD_RANK"))  # known before the processes have met
if second and sys.argv[1] == "never starts":
    time.sleep(60)
if second and sys.argv[1] == "other version":
    aj.__version__ = "0.0"
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
        case "sleeps":
            time.sleep(60)
        case "locked":
            lock = threading.Lock()
            with lock:
                lock.acquire(timeout=60)
        case "never comes":
            while True:
                pass
        case "pauses":
            time.sleep(4)
        case "computes":
            end = time.monotonic() + 4
            while time.monotonic() < end:
                pass
        case "writes":
            end = time.monotonic() + 4
            with tempfile.TemporaryFile() as file:
                while time.monotonic() < end:
                    file.write(bytes(4096))
                    file.flush()
                    time.sleep(0.05)
total(jnp.ones((1, 2)))
print("finished", flush=True)
