"""Runs steps of both devices at the same time: the engine's in their own thread, the CPU device's in the caller's."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from anejax.config import config
from anejax.core.graph import Var
from anejax.partition.lanes import can_overlap, needs_of


class Lanes:
    """The order of ``steps`` that wait for others; each has a graph, results, a device, and buffers written in place.

    A step that writes into the memory of a donated input waits for the earlier ones that read it. ``kept`` has, of
    values between steps, the donated input whose memory they take.
    """

    def __init__(self, steps: Sequence[Any], kept: Mapping[Var, Var]) -> None:
        self.needs = needs_of([s.graph for s in steps])
        self.devices = ["cpu" if s.device == "cpu" else "engine" for s in steps]
        for i, step in enumerate(steps):
            memory = {source for _, source in step.in_place()}
            for j in range(i):
                if any(kept.get(v, v) in memory for v in steps[j].graph.inputs):
                    self.needs[i].add(j)
        self.overlap = can_overlap(self.devices, self.needs)

    def run(self, step: Callable[[int], None]) -> None:
        """Calls ``step`` with each number, in both lanes; raises what the first one that fails raises."""
        done = [threading.Event() for _ in self.needs]
        failed: list[BaseException] = []

        given = config.overrides()

        def lane(device: str) -> None:
            try:
                for i in (i for i, d in enumerate(self.devices) if d == device):
                    for j in self.needs[i]:
                        done[j].wait()
                    if failed:
                        return
                    step(i)
                    done[i].set()
            except BaseException as err:
                failed.append(err)
                for event in done:  # releases those who wait for steps that will not run
                    event.set()

        def engine_lane() -> None:
            with ExitStack() as settings:
                for name, value in given.items():
                    settings.enter_context(config.override(name, value))
                lane("engine")

        context = contextvars.copy_context()
        engine = threading.Thread(target=context.run, args=(engine_lane,), name="anejax-engine-lane")
        engine.start()
        lane("cpu")
        while engine.is_alive():  # its step uses the memory that the caller frees
            try:
                engine.join()
            except BaseException as err:  # Ctrl-C while the engine works
                failed.append(err)
        if failed:
            raise failed[0]
