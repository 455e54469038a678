"""The steps from a jitted function to a native program, as objects: Traced, Lowered and Compiled."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from anejax import tree
from anejax.api.flat import check_leaves
from anejax.core.aval import Aval, ShapeDtypeStruct
from anejax.core.graph import ClosedGraph, Graph
from anejax.core.printer import print_graph
from anejax.core.trace import Tracer, concrete_array, executor
from anejax.errors import ConcretizationError


class Staged:
    """A function staged at given types: the Graph, the arrays it captured, the tree of its outputs.

    ``frozen`` are those of the captured arrays that never change, by their index among them.
    """

    __slots__ = ("consts", "donated", "frozen", "graph", "in_tree", "name", "out_tree")

    def __init__(
        self, graph: Graph, consts: list[Any], in_tree: Any, out_tree: Any, donated: Any, name: str,
        frozen: dict[int, Any],
    ) -> None:  # fmt: skip
        self.graph, self.consts, self.frozen = graph, consts, frozen
        self.in_tree, self.out_tree = in_tree, out_tree
        self.donated = (False,) * len(consts) + tuple(donated) if any(donated) else ()
        self.name = name


@dataclasses.dataclass(frozen=True)
class ArgInfo:
    """The type of an argument, and whether its memory is given away."""

    aval: Aval
    donated: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.aval.dtype


@dataclasses.dataclass(frozen=True)
class MemoryAnalysis:
    """Bytes that a run of a program needs, inputs, outputs and temporary values; all of it in host memory."""

    argument_size_in_bytes: int
    output_size_in_bytes: int
    temp_size_in_bytes: int
    generated_code_size_in_bytes: int = 0


class Stage:
    """The trees and types of a traced function's arguments and results."""

    def __init__(self, staged: Staged, device: str = "cpu") -> None:
        self._staged, self._device = staged, device

    @property
    def in_tree(self) -> tree.PyTreeDef:
        """The structure of ``(args, kwargs)``, static ones left out."""
        return self._staged.in_tree

    @property
    def out_tree(self) -> tree.PyTreeDef:
        """The structure of the output."""
        return self._staged.out_tree

    @property
    def in_avals(self) -> Any:
        """``(args, kwargs)`` with the type of each array."""
        return tree.unflatten(self.in_tree, self._types())

    @property
    def args_info(self) -> Any:
        """``(args, kwargs)`` with an ArgInfo for each array."""
        given = self._donated()
        return tree.unflatten(self.in_tree, [ArgInfo(*pair) for pair in zip(self._types(), given, strict=True)])

    @property
    def donate_argnums(self) -> tuple[int, ...]:
        """The donated arrays, as indices into the flat list of arguments."""
        return tuple(i for i, given in enumerate(self._donated()) if given)

    @property
    def out_info(self) -> Any:
        """The output's tree of ShapeDtypeStructs."""
        structs = [ShapeDtypeStruct(a.shape, a.dtype, weak_type=a.weak_type) for a in self._staged.graph.out_avals]
        return tree.unflatten(self.out_tree, structs)

    def _types(self) -> list[Aval]:
        return self._staged.graph.in_avals[len(self._staged.consts) :]

    def _donated(self) -> tuple[bool, ...]:
        types = self._types()
        return self._staged.donated[len(self._staged.consts) :] or (False,) * len(types)


class Traced(Stage):
    """A function as a Graph of its operations."""

    @property
    def jaxpr(self) -> ClosedGraph:
        """The Graph, with the arrays that the function captured."""
        return ClosedGraph(self._staged.graph, tuple(self._staged.consts))

    @property
    def graph(self) -> Graph:
        """The Graph; captured arrays are its first inputs."""
        return self._staged.graph

    @property
    def frozen(self) -> dict[int, Any]:
        """The captured arrays that never change (``jit(f, constants=...)``), by the index of their input."""
        return self._staged.frozen

    @property
    def fun_name(self) -> str:
        """The name of the function."""
        return self._staged.name

    def lower(self) -> Lowered:
        """The function on its way to a device."""
        return Lowered(self._staged, self._device)

    def __str__(self) -> str:
        return str(self.jaxpr)

    __repr__ = __str__


class Lowered(Stage):
    """A staged function on its way to a device."""

    def __init__(self, staged: Staged, device: str = "cpu") -> None:
        super().__init__(staged, device)
        self.graph = ClosedGraph(staged.graph, tuple(staged.consts))

    def as_text(self, dialect: str = "mil", *, debug_info: bool = False) -> str:
        """The MIL text of the program, or the Graph with ``dialect="graph"``.

        With ``debug_info`` operations are named by the layers that they belong to (``named_scope``), and each equation
        has its mark behind it: layers, part of the derivative, line.
        """
        if dialect == "graph":
            return print_graph(self.graph.graph, len(self.graph.consts), marks=debug_info)
        if dialect != "mil":
            raise ValueError(
                f"[lower] expected dialect 'mil' or 'graph', got {dialect!r}; StableHLO and HLO are XLA's, which takes"
                " no part here."
            )
        staged = self._staged
        return executor().lower_text(staged.graph, staged.donated, self._device, debug_info, staged.frozen)

    def compiler_ir(self, dialect: str | None = None) -> Any:
        """The program as its compiler takes it: MIL text for None and "mil", the Graph for "graph".

        Raises:
            ValueError: ``dialect`` is another one, such as "stablehlo", which is XLA's.
        """
        return self.graph.graph if dialect == "graph" else self.as_text(dialect or "mil")

    def cost_analysis(self) -> dict[str, Any]:
        """The result of ``compile().cost_analysis()``."""
        return self.compile().cost_analysis()

    def compile(self, compiler_options: None = None) -> Compiled:
        """Compiles. Returns a callable that takes arguments of the same types."""
        check_options("compile", compiler_options)
        staged, device = self._staged, self._device
        executable = executor().compile_graph(staged.graph, staged.donated, device, staged.frozen)
        return Compiled(staged, executable, device)


class Compiled(Stage):
    """A compiled function of fixed types."""

    def __init__(self, staged: Staged, executable: Any, device: str) -> None:
        super().__init__(staged, device)
        self._executable = executable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = tree.flatten((args, kwargs))
        expected = self._types()
        avals = check_leaves(self._staged.name, "an argument", leaves, in_tree)
        if in_tree != self.in_tree or not all(a.same_type(e) for a, e in zip(avals, expected)):
            raise TypeError(
                f"[{self._staged.name}] was compiled for {', '.join(map(str, expected))},"
                f" got {', '.join(map(str, avals))}. Call the jitted function for other types."
            )
        for leaf in leaves:
            if isinstance(leaf, Tracer):
                raise ConcretizationError(
                    f"[{self._staged.name}] is compiled and cannot be transformed, got {leaf.describe()}. Call the"
                    " jitted function under jit, grad and vmap."
                )
        arrays = self._staged.consts + [concrete_array(x) for x in leaves]
        staged = self._staged
        outs = executor().run_graph(staged.graph, arrays, staged.donated, self._device, staged.frozen)
        return tree.unflatten(self.out_tree, outs)

    def as_text(self) -> str:
        """The device's plan as text: its steps, fusions and memory."""
        return self._executable.describe("plan")

    def cost_analysis(self) -> dict[str, Any]:
        """Counts of the plan: steps, fused operations, bytes of the arena and of all temporaries."""
        return self._executable.stats()

    def memory_analysis(self) -> MemoryAnalysis:
        """Bytes of the arguments (captured arrays included), of the results, and of temporary values.

        Example:
            >>> import anejax as aj, anejax.numpy as jnp
            >>> aj.jit(lambda x: x.sum()).lower(jnp.ones(100)).compile().memory_analysis().argument_size_in_bytes
            400
        """
        stats = self.cost_analysis()
        arenas = [part.get("arena_bytes", 0) for part in (stats, *stats.get("segments", ()))]
        graph = self._staged.graph
        return MemoryAnalysis(
            sum(a.nbytes for a in graph.in_avals), sum(a.nbytes for a in graph.out_avals), sum(arenas)
        )


def check_options(op: str, compiler_options: Any) -> None:
    """Raises ValueError for XLA's compiler options, because anejax's compiler has no options."""
    if compiler_options:
        raise ValueError(f"[{op}] expected no compiler_options, which are XLA's, got {compiler_options!r}.")
