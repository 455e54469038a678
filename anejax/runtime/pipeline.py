"""Runs a plan: its segments in order, over buffers that live for one run."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from anejax.config import config
from anejax.core.array import new_contents
from anejax.core.graph import Graph, Var
from anejax.errors import AnejaxError, DeviceError
from anejax.lower.to_mil import lower
from anejax.marks import NOWHERE
from anejax.mil.program import Program
from anejax.mil.text import to_text
from anejax.partition import Loop, Plan, Segment
from anejax.partition.scaled import following
from anejax.passes.pipeline import optimize
from anejax.runtime import dispatches, library
from anejax.runtime.engine import fall_back, why_not_resident
from anejax.runtime.entering import Border
from anejax.runtime.lanes import Lanes
from anejax.runtime.overflow import Lookout, Watcher, marks_of, rows_of, since
from anejax.runtime.programs import Compiled
from anejax.runtime.verify import PATIENCE, difference, loses, overflows
from anejax.transforms.parts import parts

Pairs = Sequence[tuple[int, int]]  # an input and an output


class Compile(Protocol):
    """Makes programs, each once, unless the caller wants one of its ``own``."""

    def __call__(
        self, device: str, text: str, donated: Sequence[int] = (), shared: Pairs = (), own: bool = False
    ) -> Compiled: ...


class Pipeline:
    """A Graph as several programs, used as one: ``aliases``, ``output_nbytes``, ``run`` and ``describe`` are those of
    a NativeProgram.

    Engine segments run on the native device ``engine``. One that cannot be compiled, or fails while it runs, goes over
    to the CPU device for good, with an EngineFallbackWarning; or raises DeviceError, where the setting
    ``engine_fallback`` is "error". Nothing is lost by that: a segment neither changes its inputs nor keeps anything.
    ``within`` is what the plan is a part of.
    """

    def __init__(
        self,
        plan: Plan,
        donated: Sequence[int],
        engine: str,
        compile: Compile,
        within: str = "",
        lookout: Lookout | None = None,
    ) -> None:
        self.plan = plan
        self._speaks, self._lookout = lookout is None, lookout or Lookout()
        graph = plan.graph
        scaled = following(graph, graph.inputs if self._lookout.scaled else ())
        self._inputs = {v: i for i, v in enumerate(graph.inputs)}
        self._outputs = {v: i for i, v in enumerate(graph.outputs) if isinstance(v, Var)}  # all are, and distinct
        last_reader = {v: i for i, s in enumerate(plan.segments) for v in s.graph.inputs}
        given = {v for i, v in enumerate(graph.inputs) if i in donated}
        state = dict(_state(graph, donated))
        self.steps: list[Step | LoopStep] = []
        texts: set[str] = set()  # texts of the engine's programs
        for i, segment in enumerate(plan.segments):
            name, ins, outs = f"{within}segment {i}", segment.graph.inputs, segment.outputs
            if segment.loop is not None:
                self.steps.append(LoopStep(segment, segment.loop, name, engine, compile, self._inside(segment, scaled)))
                continue
            spent = [p for p, v in enumerate(ins) if v in given and last_reader[v] == i]
            shared = [(p, outs.index(state[v])) for p, v in enumerate(ins) if state.get(v) in outs]
            watcher = Watcher(segment, name, self._lookout, scaled)
            # Each of several equal programs, except the first, has separate ports if arguments may stay in them.
            stay = any(v in self._inputs and v not in given for v in ins)
            step = Step(segment, name, spent, shared, engine, compile, watcher, texts if stay else ())
            self.steps.append(step)
            texts.add(step.text)
        self._border = Border(plan, scaled, lambda graph, where: _computed(compile, graph, where))
        self.output_nbytes = [a.aval.nbytes for a in graph.outputs]
        self.aliases = [-1] * len(graph.outputs)
        self._kept: dict[Var, Var] = {}  # between programs: a value, and the donated input whose memory it takes
        for step in self.steps:
            for out, source in step.in_place():
                if out in self._outputs:
                    self.aliases[self._outputs[out]] = self._inputs[source]
                else:
                    self._kept[out] = source
        self._lanes = Lanes(self.steps, self._kept)
        made = dict.fromkeys(v for step in self.steps for v in step.outputs)
        self._between = [v for v in made if v not in self._outputs and v not in self._kept]
        self._between_nbytes = [v.aval.nbytes for v in self._between]

    def _inside(self, segment: Segment, scaled: set[Var]) -> Lookout:
        return self._lookout.inside(any(v in scaled for v in segment.graph.inputs))

    @property
    def leaves(self) -> Iterator[Step]:
        """The steps, and in the place of loops those of their chunks."""
        for step in self.steps:
            yield from step.leaves

    @property
    def text(self) -> str:
        """The MIL texts of all programs, in order."""
        return "\n".join(f"// {s.name}: {s.device}\n{s.text}" for s in self.leaves)

    def run(self, inputs: Sequence[int], outputs: Sequence[int], holds: Sequence[int], makes: Sequence[int]) -> None:
        """Runs on the memory at the given addresses; ``holds`` and ``makes`` are those of NativeProgram.run."""
        between, addresses = library.create_buffers(self._between_nbytes)
        where = dict(zip(self._inputs, inputs))
        where.update(zip(self._outputs, outputs))
        where.update(zip(self._between, addresses))
        where.update((v, where[source]) for v, source in self._kept.items())
        held = {v: new_contents() for v in (*self._between, *self._kept)}
        held.update(zip(self._inputs, holds))
        held.update(zip(self._outputs, makes))
        begun: list[Step | LoopStep] = []

        def run(i: int) -> None:
            step = self.steps[i]
            ins, outs = step.graph.inputs, step.outputs
            places = [where[v] for v in ins], [where[v] for v in outs]
            if step.is_watched and self._lookout.is_open:
                beyond = self._border.first_beyond(step.graph, where)
                if beyond is not None:
                    self._lookout.tell(beyond)
            begun.append(step)
            try:
                step.run(*places, [held[v] for v in ins], [held[v] for v in outs])
            except DeviceError as err:
                err.changed |= any(done.in_place() for done in begun if done is not step)
                raise

        if self._lanes.overlap and not any(step.is_watched for step in self.steps):
            self._lanes.run(run)
        else:
            for i in range(len(self.steps)):
                run(i)
        del between  # held until here
        if self._speaks:
            self._lookout.say()

    def numerics(self) -> list[dict[str, Any]]:
        """The name and the counts of each step on cpu-fp16, with the mark of each operation."""
        found: list[dict[str, Any]] = []
        for step in self.leaves:
            if step.device == "cpu-fp16":
                marks, counts = marks_of(step.lowered()), json.loads(step.describe("numerics"))
                rows = [row | {"mark": marks.get(row["name"], NOWHERE)} for row in counts["operations"]]
                found.append({"name": step.name, "runs": counts["runs"], "operations": rows})
        return found

    def describe(self, what: str) -> str:
        """The steps' own descriptions: "plan" as text, "stats" as JSON."""
        if what == "stats":
            return json.dumps({"segments": [{"device": s.device} | json.loads(s.describe(what)) for s in self.leaves]})
        return "\n".join(f"--- {s.name}: {s.device} ---\n{s.describe(what)}" for s in self.leaves)


def _state(graph: Graph, donated: Sequence[int]) -> Iterator[tuple[Var, Var]]:
    """(donated input, output that is taken to follow it): the first of its type for the first, and so on."""
    free = [v for v in graph.outputs if isinstance(v, Var)]
    for v in (graph.inputs[i] for i in sorted(donated)):
        found = next((out for out in free if out.aval.same_type(v.aval)), None)
        if found is not None:
            free.remove(found)
            yield v, found


def _computed(compile: Compile, graph: Graph, where: Mapping[Var, int]) -> np.ndarray:
    """The one result of a segment of the CPU device, computed again from the values at addresses."""
    program = compile("cpu", to_text(lower(optimize(graph))))
    _, addresses = held = library.create_buffers(program.output_nbytes)
    program.run([where[v] for v in graph.inputs], addresses)
    (found,) = program.read_outputs(addresses)
    del held  # until here
    return found.copy()


class Step:
    """One segment, compiled.

    ``shared`` are inputs that an output follows from call to call. On the engine each pair has one buffer, so that
    state stays there, where an accumulator shows that this works, and first results are verified: an engine may write
    the output before it has read the input. A program whose first results are wrong is tried without that.
    Programs with one of the texts ``taken`` are its own.
    """

    def __init__(
        self,
        segment: Segment,
        name: str,
        donated: Sequence[int],
        shared: Pairs,
        engine: str,
        compile: Compile,
        watcher: Watcher,
        taken: Container[str] = (),
    ) -> None:
        self._watcher = watcher
        self.graph, self.outputs, self.name, self._compile = segment.graph, segment.outputs, name, compile
        self.device, self._verified, self._undecided = "cpu", False, 0
        self._shared = shared if engine == "ane" and shared and why_not_resident() is None else ()
        self._legal, self._cost = segment.program, segment.cost
        if segment.program is None:
            self._compile_for_cpu(donated)
            return
        try:
            self.text = to_text(segment.program)
            own = engine == "cpu-fp16" or self.text in taken
            self._program = compile(engine, self.text, shared=self._shared, own=own)
            self.device = engine
        except AnejaxError as err:
            self._fall_back(err)

    def _compile_for_cpu(self, donated: Sequence[int] = ()) -> None:
        """Segments run on the CPU device as they are; those of the engine with float32 inside."""
        self.device, self.text = "cpu", self._text_for_cpu()
        self._program = self._compile("cpu", self.text, donated)

    @property
    def native(self) -> Compiled:
        """The native program of the step."""
        return self._program

    def lowered(self) -> Program:
        """The lowered program of the step, with marks."""
        return lower(optimize(self.graph)) if self.device == "cpu" or self._legal is None else self._legal

    def _text_for_cpu(self) -> str:
        return to_text(lower(optimize(self.graph)))

    def _fall_back(self, err: Exception) -> None:
        fall_back(f"{self.name} was for the engine, which failed: {err}",
                  f"{self.name} runs on the CPU device from now on, since the engine failed: {err}", err)  # fmt: skip
        self._shared = ()
        self._compile_for_cpu()

    @property
    def leaves(self) -> Iterator[Step]:
        yield self

    @property
    def is_watched(self) -> bool:
        """Whether its numbers are looked at: always with the engine's numerics, on the engine in its first runs."""
        return self.device == "cpu-fp16" or (self.device != "cpu" and not self._verified)

    def in_place(self) -> list[tuple[Var, Var]]:
        """(output, donated input whose memory it takes)."""
        return [(v, self.graph.inputs[a]) for v, a in zip(self.outputs, self._program.aliases) if a >= 0]

    def run(self, inputs: Sequence[int], outputs: Sequence[int], holds: Sequence[int], makes: Sequence[int]) -> None:
        if self.device == "cpu":
            self._program.run(inputs, outputs)
            return
        begin = time.perf_counter_ns() if dispatches.are_noted() else 0
        device = self.device
        self._run_beside_cpu(inputs, outputs, holds, makes)
        if begin:
            us, flops = (self._cost.us, self._cost.flops) if self._cost is not None else (0.0, 0)
            crossed = sum(v.aval.nbytes for v in (*self.graph.inputs, *self.outputs))
            note = dispatches.Dispatch(self.name, device, begin, time.perf_counter_ns(), us, flops, crossed)
            dispatches.note(note)

    def _run_beside_cpu(self, inputs: Sequence[int], outputs: Sequence[int], holds: Any, makes: Any) -> None:
        try:
            self._run_on_engine(inputs, outputs, holds, makes)
        except DeviceError as err:
            if err.changed:
                raise
            self._fall_back(err)
            self._program.run(inputs, outputs)
            return
        if self.device == "cpu-fp16":
            self._watcher.after_run(self._program, lambda: self._loses(inputs, outputs))

    def _loses(self, inputs: Sequence[int], outputs: Sequence[int]) -> bool:
        """Whether float32 inside gives other results."""
        return loses(self._compile("cpu", self._text_for_cpu()), inputs, outputs)

    def _run_on_engine(self, inputs: Sequence[int], outputs: Sequence[int], holds: Any, makes: Any) -> None:
        if self._verified:
            self._program.run(inputs, outputs, holds, makes)
            return
        if self._shared and config.engine_verify == "off":
            self._unshare()
        try:
            self._run_first(inputs, outputs, holds)
        except DeviceError:
            if not self._shared:
                raise
            self._unshare()
            self._run_first(inputs, outputs, holds)

    def _unshare(self) -> None:
        self._shared = ()
        self._program = self._compile(self.device, self.text)

    def _run_first(self, inputs: Sequence[int], outputs: Sequence[int], holds: Sequence[int]) -> None:
        """Compares the first results with the CPU device with the engine's numerics before later runs may reuse them,
        unless the setting engine_verify is "off"; compares again while a run that differs has overflowed. Raises
        DeviceError."""
        self._program.run(inputs, outputs, holds)
        if self.device == "cpu-fp16" or config.engine_verify == "off":
            return
        reference = self._compile("cpu-fp16", self.text)
        before = rows_of(reference)
        found = difference(reference, inputs, outputs)
        rows = since(rows_of(reference), before)
        if overflows(rows):
            self._watcher.look(rows, lambda: self._loses(inputs, outputs))
        if found is not None and self._undecided < PATIENCE and overflows(rows):
            self._undecided += 1
            return
        if found is not None:
            raise DeviceError(f"[verify] {found}.")
        self._verified = True

    def describe(self, what: str) -> str:
        return self._program.describe(what)


class LoopStep:
    """A scan in chunks: the compiled plans of a chunk and of the turns that remain, run one after the other.

    A chunk reads its rows of xs and writes those of ys in place. Carries alternate between two buffers each, begin in
    the operands and end in the results. consts keep their contents from chunk to chunk, so the engine copies them once.
    """

    def __init__(
        self, segment: Segment, loop: Loop, name: str, engine: str, compile: Compile, lookout: Lookout
    ) -> None:
        self.graph, self.outputs, self.name, self.device = segment.graph, segment.outputs, name, engine
        (self._eqn,) = segment.graph.eqns
        length, reverse = loop.length, self._eqn.params["reverse"]
        self._counts = self._eqn.params["num_consts"], self._eqn.params["num_carry"]
        self._pipelines: list[Pipeline] = []
        self._chunks: list[tuple[Pipeline, int]] = []  # and the first row of each
        done = 0
        for plan, turns, chunks in loop.chunks:
            pipeline = Pipeline(plan, (), engine, compile, f"{name}, {turns} of {length} turns, ", lookout)
            self._pipelines.append(pipeline)
            for first in range(done, done + chunks * turns, turns):
                self._chunks.append((pipeline, length - first - turns if reverse else first))
            done += chunks * turns
        _, _, self._xs = parts(self._eqn.inputs, *self._counts)
        self._carry, self._ys = parts(self._eqn.outputs, self._counts[1])
        self._row: dict[Any, int] = {v: v.aval.nbytes // length for v in (*self._xs, *self._ys)}
        self._unread = [v for v in self._ys if v not in self.outputs]
        self._spare_nbytes = [v.aval.nbytes for v in (*self._carry, *self._carry, *self._unread)]

    @property
    def leaves(self) -> Iterator[Step]:
        for pipeline in self._pipelines:
            yield from pipeline.leaves

    @property
    def is_watched(self) -> bool:
        """Whether the numbers of any chunk are looked at."""
        return any(leaf.is_watched for leaf in self.leaves)

    def in_place(self) -> list[tuple[Var, Var]]:
        return []

    def run(self, inputs: Sequence[int], outputs: Sequence[int], holds: Sequence[int], makes: Sequence[int]) -> None:
        spare, addresses = library.create_buffers(self._spare_nbytes)
        *buffers, unread = parts(addresses, self._counts[1], self._counts[1])
        where: dict[Any, int] = dict(zip(self.graph.inputs, inputs))
        where.update(zip(self.outputs, outputs))
        where.update(zip(self._unread, unread))
        held: dict[Any, int] = dict(zip(self.graph.inputs, holds))
        consts, carry, _ = parts((where[v] for v in self._eqn.inputs), *self._counts)
        known, carried, _ = parts((held[v] for v in self._eqn.inputs), *self._counts)
        finally_made = dict(zip(self.outputs, makes))
        for number, (pipeline, first) in enumerate(self._chunks):
            made: list[int] = buffers[number % 2]
            contents = [new_contents() for _ in self._carry]
            if number == len(self._chunks) - 1:
                made = [where.get(v, buffer) for v, buffer in zip(self._carry, made)]
                contents = [finally_made.get(v, new) for v, new in zip(self._carry, contents)]
            xs, ys = ([where[v] + first * self._row[v] for v in rows] for rows in (self._xs, self._ys))
            rows = [0] * len(xs), [new_contents() for _ in ys]  # each chunk reads other rows of xs
            pipeline.run([*consts, *carry, *xs], [*made, *ys], [*known, *carried, *rows[0]], [*contents, *rows[1]])
            carry, carried = made, contents
        del spare  # held until here
