"""Traces a function for export, with its parameters as constants and its ports named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import anejax as aj
from anejax import tree
from anejax.api.flat import abstract, argument_paths, name_of
from anejax.core.aval import Aval
from anejax.core.graph import Graph, subgraphs
from anejax.errors import DtypeError, ExportError, RefusedError, fail
from anejax.export.labels import Labels
from anejax.export.labels import checked as checked_labels
from anejax.export.labels import found as found_labels
from anejax.export.ports import chosen, of_array, readable
from anejax.lower.to_mil import Constant
from anejax.nn.layer import Layer


@dataclass(frozen=True)
class Image:
    """An input that is a picture: the function gets ``scale * pixel + bias``, with pixels from 0 to 255.

    ``bias`` may be a number or one number for each channel. ``layout`` is "RGB", "BGR" or "GRAYSCALE": the order in
    which the function wants the channels. The input has shape [1, channels, height, width].
    """

    scale: float = 1.0
    bias: float | tuple[float, ...] = 0.0
    layout: str = "RGB"


@dataclass(frozen=True, init=False)
class Function:
    """A function of a package, and how to trace it.

    It is called as ``f(params, state, *args)``, without ``params`` or ``state`` where they are None, and returns its
    result; with a state ``(result, new state)``. A ``nn.Layer`` is called for inference, with
    ``params=(params, state)`` as its ``init`` returns them.

    Args:
        f: a function, jitted or not, or a layer.
        args: arrays, ShapeDtypeStructs, or ``Shapes`` where one may have several; only shapes and dtypes count.
        params: a tree of arrays, which become constants of the package.
        state: a tree of arrays that the package keeps between calls.
        inputs, outputs: names of the leaves of ``args`` and of the result; by default those of the arguments with the
            paths inside them, and the paths of the result.
        images: names of inputs that are pictures.
        labels: a name for each class, for a function that returns probabilities; ``Labels`` says which of several
            outputs has them.
    """

    f: Callable[..., Any]
    args: tuple[Any, ...]
    params: Any
    state: Any
    inputs: Sequence[str] | None
    outputs: Sequence[str] | None
    images: Mapping[str, Image]
    labels: Labels | None

    def __init__(
        self, f: Callable[..., Any] | Layer, *args: Any, params: Any = None, state: Any = None,
        inputs: Sequence[str] | None = None, outputs: Sequence[str] | None = None,
        images: Mapping[str, Image] | None = None, labels: Labels | Sequence[str] | Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        if isinstance(f, Layer):
            f = _inference(f, params)
        if not callable(f):
            fail("export", f"expected a function or a layer, got {type(f).__name__}", ExportError)
        fields = {"f": f, "args": args, "params": params, "state": state, "inputs": inputs, "outputs": outputs}
        for name, value in (fields | {"images": dict(images or {}), "labels": checked_labels(labels)}).items():
            object.__setattr__(self, name, value)

    def replaced(self, args: tuple[Any, ...]) -> Function:
        """The function with other arguments."""
        other = copy.copy(self)
        object.__setattr__(other, "args", args)
        return other


def _inference(layer: Layer, params: Any) -> Callable[..., Any]:
    if not isinstance(params, tuple) or len(params) != 2:
        fail("export", "expected params=(params, state) for a layer, as its init returns them", ExportError)

    def apply(params: Any, x: Any) -> Any:
        return layer.apply(params[0], params[1], x)[0]

    return apply


@dataclass(frozen=True)
class Port:
    """An input, output or state of a package's function, as its callers see it."""

    name: str
    aval: Aval
    image: Image | None = None


@dataclass(frozen=True)
class Exported:
    """A traced function. The Graph's inputs are the constants, the states and the inputs; its outputs the new states
    and the outputs. ``initial`` are the states' values; ``labels`` names an output."""

    graph: Graph
    constants: list[Constant]
    states: list[Port]
    inputs: list[Port]
    outputs: list[Port]
    initial: list[np.ndarray[Any, Any]]
    labels: Labels | None = None


Border = Callable[[str, Aval], Aval]  # (description of the value, its aval) -> the aval that the format has a port for


def trace(function: Function, border: Border, state_border: Border) -> Exported:
    """Traces ``function`` for a format whose ports and states have the types that ``border`` and ``state_border`` say.

    Raises ExportError for arguments, results and names that will not do, DtypeError for types.
    """
    return _Tracing(function, border, state_border).exported()


class _Tracing:
    def __init__(self, function: Function, border: Border, state_border: Border) -> None:
        self.function, self.border, self.state_border = function, border, state_border
        self.params = tree.map(aj.numpy.asarray, function.params)  # the objects that the trace will capture
        self.states, self.state_tree = tree.flatten(function.state)
        self.args, self.args_tree = tree.flatten(function.args)
        self.images: list[Image | None] = []
        self.own: list[Aval] = []
        self.out_names: list[str] = []
        self.out_avals: list[Aval] = []

    def exported(self) -> Exported:
        paths = self.paths()
        own = [self.own_aval(path, leaf) for path, leaf in zip(paths, [*self.states, *self.args])]
        count = len(self.states)
        avals = [(self.border, self.state_border)[i < count](p, a) for i, (p, a) in enumerate(zip(paths, own))]
        names = chosen("inputs", self.function.inputs, list(map(readable, paths[count:])))
        state_names = chosen("states", None, list(map(readable, paths[:count])), names)
        self.check_images(dict(zip(names, own[count:])))
        self.images = [None] * count + [self.function.images.get(name) for name in names]
        self.own = own
        closed = aj.jit(self.call).trace(*(aj.ShapeDtypeStruct(a.shape, a.dtype) for a in avals)).jaxpr
        _refuse_effects(closed.graph)
        out_names = chosen("outputs", self.function.outputs, self.out_names, [*names, *state_names])
        ports = [Port(*port) for port in zip([*state_names, *names], avals, self.images)]
        outputs = [Port(*port) for port in zip(out_names, self.out_avals)]
        labels = found_labels(self.function.labels, {p.name: p.aval for p in outputs}, [*names, *state_names])
        return Exported(closed.graph, self.constants(closed.consts), ports[:count], ports[count:], outputs,
                        list(map(np.asarray, self.states)), labels)  # fmt: skip

    def paths(self) -> list[str]:
        """The function's name for each leaf of the state and the arguments."""
        every = tree.structure(((*self.leading(self.function.state), *self.function.args), {}))
        return list(map(of_array, argument_paths(self.function.f, every)[len(tree.leaves(self.params)) :]))

    def leading(self, state: Any) -> list[Any]:
        """The arguments before the inputs."""
        params = [] if self.function.params is None else [self.params]
        return params if self.function.state is None else [*params, state]

    def own_aval(self, path: str, leaf: Any) -> Aval:
        """The type that the function gets."""
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            fail("export", f"{path}: expected an array or a ShapeDtypeStruct, got {type(leaf).__name__} {leaf!r:.60}; "
                 "a number that never changes belongs into the function", ExportError)  # fmt: skip
        return abstract(leaf).strong()

    def check_images(self, inputs: Mapping[str, Aval]) -> None:
        for name, image in self.function.images.items():
            if name not in inputs:
                fail("export", f"expected images among {', '.join(inputs)}, got {name!r}", ExportError)
            channels = {"RGB": 3, "BGR": 3, "GRAYSCALE": 1}.get(image.layout)
            if channels is None:
                fail("export", f"{name}: expected layout RGB, BGR or GRAYSCALE, got {image.layout!r}", ExportError)
            aval = inputs[name]
            if aval.ndim != 4 or aval.shape[:2] != (1, channels) or aval.dtype.kind != "f":
                fail("export", f"{name}: expected floats [1, {channels}, height, width] for a picture, got {aval}",
                     ExportError)  # fmt: skip

    def call(self, *ports: Any) -> list[Any]:
        """The function between its ports: what is traced."""
        values = [_inside(x, aval, image) for x, aval, image in zip(ports, self.own, self.images)]
        count = len(self.states)
        state = tree.unflatten(self.state_tree, values[:count])
        out = self.function.f(*self.leading(state), *tree.unflatten(self.args_tree, values[count:]))
        result, states = self.parted(out)
        leaves, treedef = tree.flatten(result)
        if not leaves:
            fail("export", f"expected {name_of(self.function.f)} to return arrays, got {result!r:.60}", ExportError)
        paths = list(map(of_array, tree.treedef_paths(treedef, "")))
        self.out_names = list(map(_result_name, paths))
        self.out_avals = [self.border(f"the result{p}", abstract(x).strong()) for p, x in zip(paths, leaves)]
        new_states = [_outside(x, p) for x, p in zip(states, map(abstract, ports))]
        return [*new_states, *(_outside(x, aval) for x, aval in zip(leaves, self.out_avals))]

    def parted(self, out: Any) -> tuple[Any, list[Any]]:
        """The result, and the leaves of the new state."""
        if self.function.state is None:
            return out, []
        name = name_of(self.function.f)
        if not isinstance(out, tuple) or len(out) != 2:
            fail("export", f"expected {name} to return (result, new state), as state= is given, got {_shown(out)}",
                 ExportError)  # fmt: skip
        problem = tree.mismatch(self.function.state, out[1], "state", exact=True)
        if problem:
            fail("export", f"expected {name} to return (result, new state), the state like the one it got: {problem}",
                 ExportError)  # fmt: skip
        leaves = tree.leaves(out[1])
        for path, old, new in zip(self.paths(), self.own, map(abstract, leaves)):
            if (old.shape, old.dtype) != (new.shape, new.dtype):
                fail("export", f"expected {name} to return {path} as {old}, got {new}", ExportError)
        return out[0], leaves

    def constants(self, arrays: Sequence[Any]) -> list[Constant]:
        """The arrays that the function has captured, with the names that the parameters have."""
        named = zip(tree.leaves(self.params), tree.paths(self.params, "params"))
        names = {id(leaf): readable(path) for leaf, path in named}
        return [Constant(names.get(id(array), "constant"), np.asarray(array)) for array in arrays]


def _shown(out: Any) -> str:
    """A result in few words: its type and shape if it is an array, else its kind."""
    if isinstance(out, tuple):
        return f"a tuple of {len(out)}"
    is_array = hasattr(out, "shape") and hasattr(out, "dtype")
    return f"{abstract(out) if is_array else type(out).__name__} alone"


def _refuse_effects(graph: Graph) -> None:
    """Raises RefusedError for a call of Python, which no package can make, with the line that asks for it."""
    for eqn in graph.eqns:
        if eqn.primitive.effect:
            name = eqn.primitive.name.replace("debug_", "debug.")
            fail("export", f"expected no {name}{eqn.mark.at}: an exported package cannot call Python. Remove it from "
                 "the function before the export, or return the values as results and print them in the app",
                 RefusedError)  # fmt: skip
        for inner in subgraphs(eqn.params):
            _refuse_effects(inner)


def _result_name(path: str) -> str:
    """``output`` for a result alone, ``output_1`` for one of a tuple, ``loss`` for one of a dictionary."""
    name = readable(path)
    return "output" if not path else f"output_{name.strip('_')}" if path[1:2].isdigit() else name


def _inside(x: Any, aval: Aval, image: Image | None) -> Any:
    """The value that the function gets for what came through a port."""
    if image is not None:
        bias = np.asarray(image.bias, np.float32)
        x = x * np.float32(image.scale) + (bias.reshape(1, -1, 1, 1) if bias.ndim else bias)
    return x.astype(aval.dtype).reshape(aval.shape)


def _outside(x: Any, aval: Aval) -> Any:
    """The type that crosses a port for a value of the function."""
    return aj.numpy.asarray(x).astype(aval.dtype).reshape(aval.shape)


def refuse_dtype(path: str, aval: Aval, has: Sequence[str]) -> Any:
    """Raises DtypeError: the format has no such dtype."""
    fail("export", f"{path}: expected one of {', '.join(has)}, got {aval}; cast it in the function", DtypeError)
