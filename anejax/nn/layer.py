"""The base class of layers, and layers that combine others.

A layer is a small immutable object. ``init`` makes its parameters and its state from a key and an example of its input
(an array, or only its shape and dtype). ``apply`` is a pure function of parameters, state and input. Both are plain
pytrees, ``()`` if there are none, so every transformation works on them.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

from anejax import random, tree
from anejax.api.checkpointing import checkpoint
from anejax.api.scopes import named_scope
from anejax.api.staging import eval_shape
from anejax.core.aval import ShapeDtypeStruct, type_text
from anejax.errors import DtypeError, ShapeError, TreeError


class _Running(threading.local):
    """The state of running ``apply`` calls, per thread: the owner of the layer, and the next layer's name."""

    layer: Layer | None = None
    next_name: str | None = None
    watch: Callable[..., Any] | None = None  # (name, layer, its apply, its arguments) -> what apply returns


_running = _Running()


class Layer:
    """Base of all layers; this one does nothing.

    The equations that ``apply`` of a layer traces are marked with the layer's path (``named_scope``): the field of the
    layer that applies it, ``blocks/3`` where that is a list; its class where no field holds it.
    """

    scope: ClassVar[str | None] = None  # the name of an outermost layer in marks; None: that of its class

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "apply" in cls.__dict__:
            cls.apply = _marking(cls.apply)
        if "__repr__" not in cls.__dict__:  # before ``dataclass`` writes one that names every field
            cls.__repr__ = cls.__repr__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises TypeError: a layer holds no parameters."""
        raise TypeError(
            f"[{self.name}] a layer holds no parameters, so it cannot be called. Write `params, state = net.init(key,"
            " x)`, then `y, state = net.apply(params, state, x)`."
        )

    def __repr__(self) -> str:
        """As Python would make it, without the fields that are as they are by default."""
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self._changed().items())})"

    def _changed(self) -> dict[str, Any]:
        """The fields that are not as by default."""
        if not is_dataclass(self):
            return {}
        values = [(item, getattr(self, item.name)) for item in fields(self)]
        return {item.name: value for item, value in values if not _is_default(item, value)}

    def __getstate__(self) -> dict[str, Any]:
        """Pickles only fields that differ from their defaults, since functions made by functions cannot be pickled."""
        if not is_dataclass(self):
            return vars(self)
        return self._changed()

    def __setstate__(self, state: dict[str, Any]) -> None:
        held = {item.name: item.default for item in fields(self)} if is_dataclass(self) else {}
        for name, value in (held | state).items():
            object.__setattr__(self, name, value)

    @property
    def name(self) -> str:
        """The name of the layer in error messages."""
        return type(self).__name__

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        """(params, state) for inputs like ``x``: an array or a ``ShapeDtypeStruct``."""
        return (), ()

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        """(y, state): the output, and the state for the next call. ``key`` is for layers that need random numbers."""
        return x, state

    def out_shape(self, params: Any, state: Any, x: Any) -> Any:
        """The shape and dtype of the output for an input like ``x``; nothing is computed."""
        return eval_shape(lambda p, s, v: self.apply(p, s, v)[0], params, state, x)


def _is_default(item: Any, value: Any) -> bool:
    return item.default is value or (type(item.default) is type(value) and bool(item.default == value))


def _marking(apply: Callable[..., Any]) -> Any:
    """``apply`` under the name of its layer."""

    @functools.wraps(apply)
    def marking(self: Layer, *args: Any, **kwargs: Any) -> Any:
        owner = _running.layer
        if owner is self:  # by super().apply
            return apply(self, *args, **kwargs)
        name = _name_in(owner, self)
        _running.layer, _running.next_name = self, None
        try:
            with named_scope(name):
                if _running.watch is None:
                    return apply(self, *args, **kwargs)
                return _running.watch(name, self, lambda: apply(self, *args, **kwargs), args)
        finally:
            _running.layer = owner

    return marking


def _name_in(owner: Layer | None, layer: Layer) -> str:
    if isinstance(layer, Scope):
        return layer.label
    if _running.next_name is not None:
        return _running.next_name
    if owner is None:
        return type(layer).__name__ if layer.scope is None else layer.scope
    for field, value in vars(owner).items():
        if value is layer:
            return field
        for key, item in value.items() if isinstance(value, dict) else enumerate(_listed(value)):
            if item is layer:
                return f"{field}/{key}"
    return type(layer).__name__


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (tuple, list)) else ()


def apply_as(name: str, layer: Layer, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """``layer.apply(...)``, marked with ``name``; with "" only the layers inside add marks."""
    _running.next_name = name
    return layer.apply(*args, **kwargs)


def spec(layer: Layer, x: Any) -> ShapeDtypeStruct:
    """The shape and dtype of an example input. Raises DtypeError when it is not an array."""
    if not hasattr(x, "shape") or not hasattr(x, "dtype"):
        raise DtypeError(f"[{layer.name}] expected an array or a ShapeDtypeStruct as input, got {type(x).__name__}.")
    return ShapeDtypeStruct(x.shape, x.dtype)


def check_rank(layer: Layer, x: Any, rank: int, what: str) -> None:
    """Raises ShapeError unless ``x`` has ``rank`` axes."""
    if len(spec(layer, x).shape) != rank:
        raise ShapeError(f"[{layer.name}] expected {what}, got {type_text(x)}.")


def take(layer: Layer, params: Any, *names: str) -> list[Any]:
    """The parameters of the given names. Raises TreeError when ``params`` belongs to another layer."""
    if not isinstance(params, dict) or set(params) != set(names):
        kind = f"keys {sorted(params)}" if isinstance(params, dict) else f"a {type(params).__name__}"
        raise TreeError(
            f"[{layer.name}] expected parameters with keys {sorted(names)}, got {kind}. Pass what init returned."
        )
    return [params[n] for n in names]


def check_features(layer: Layer, x: Any, axis: int, expected: int) -> None:
    """Raises ShapeError unless ``x`` has as many features as the parameters were made for."""
    if x.shape[axis] != expected:
        raise ShapeError(
            f"[{layer.name}] expected {expected} features along axis {axis}, as init was given, got {type_text(x)}."
        )


def _keys(key: Any, count: int) -> Sequence[Any]:
    if key is None or count == 0:
        return [None] * count
    keys = random.split(key, count)
    return [keys[i] for i in range(count)]


@contextlib.contextmanager
def watching(watch: Callable[..., Any]) -> Iterator[None]:
    """Inside, a layer is applied by ``watch(name, layer, apply, arguments)``, which must return the result of
    ``apply()``."""
    before, _running.watch = _running.watch, watch
    try:
        yield
    finally:
        _running.watch = before


@dataclass(frozen=True, init=False, repr=False)
class Sequential(Layer):
    """Layers one after the other; parameters and states are tuples, one entry per layer.

    Example:
        >>> from anejax import nn, random, ShapeDtypeStruct
        >>> mlp = nn.Sequential(nn.Linear(16), nn.ReLU(), nn.Linear(2))
        >>> params, state = mlp.init(random.key(0), ShapeDtypeStruct((1, 8), "float32"))
        >>> params[0]["w"].shape, params[2]["w"].shape
        ((8, 16), (16, 2))
    """

    layers: tuple[Layer, ...]
    scope: ClassVar[str] = ""

    def __init__(self, *layers: Layer) -> None:
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"[Sequential] expected layers, got {type(layer).__name__} at position {i}. Wrap functions in"
                    " nn.Lambda."
                )
        object.__setattr__(self, "layers", tuple(layers))

    def __repr__(self) -> str:
        """A line for each layer where there are several."""
        parts = [repr(layer).replace("\n", "\n    ") for layer in self.layers]
        short = f"Sequential({', '.join(parts)})"
        return short if len(parts) < 3 and len(short) <= 80 else "Sequential(\n    " + ",\n    ".join(parts) + ",\n)"

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        params, states = [], []
        for layer, layer_key in zip(self.layers, _keys(key, len(self.layers))):
            p, s = layer.init(layer_key, x)
            x = layer.out_shape(p, s, x)
            params.append(p)
            states.append(s)
        return tuple(params), tuple(states)

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        count = len(self.layers)
        for what, value in (("parameters", params), ("state", state)):
            if not isinstance(value, (tuple, list)) or len(value) != count:
                got = f"{len(value)} of them" if isinstance(value, (tuple, list)) else f"a {type(value).__name__}"
                raise TreeError(f"[Sequential] expected {what} of {count} layers, got {got}. Pass what init returned.")
        states = []
        for i, (layer, p, s, layer_key) in enumerate(zip(self.layers, params, state, _keys(key, count))):
            x, s = apply_as(str(i), layer, p, s, x, key=layer_key, train=train)
            states.append(s)
        return x, tuple(states)


@dataclass(frozen=True)
class Residual(Layer):
    """main(x) + shortcut(x); without a shortcut, main(x) + x."""

    main: Layer
    shortcut: Layer | None = None
    scope: ClassVar[str] = ""

    @property
    def _parts(self) -> dict[str, Layer]:
        return {"main": self.main} | ({"shortcut": self.shortcut} if self.shortcut else {})

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        parts = self._parts
        made = {n: parts[n].init(k, x) for n, k in zip(parts, _keys(key, len(parts)))}
        return {n: p for n, (p, _) in made.items()}, {n: s for n, (_, s) in made.items()}

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        parts = self._parts
        ps, ss = take(self, params, *parts), take(self, state, *parts)
        outs = [
            apply_as(name if self.shortcut else "", layer, p, s, x, key=k, train=train)
            for (name, layer), p, s, k in zip(parts.items(), ps, ss, _keys(key, len(parts)))
        ]
        ys = [y for y, _ in outs] + ([x] if self.shortcut is None else [])
        if ys[0].shape != ys[1].shape:
            raise ShapeError(
                f"[Residual] expected main and shortcut of one shape, got {type_text(ys[0])} and {type_text(ys[1])}."
                " Give a shortcut that maps the input to the shape of main's output."
            )
        return ys[0] + ys[1], dict(zip(parts, (s for _, s in outs)))


@dataclass(frozen=True)
class Lambda(Layer):
    """A function of the input as a layer without parameters."""

    function: Callable[[Any], Any]

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return self.function(x), state


@dataclass(frozen=True)
class Remat(Layer):
    """``main``, whose inner values gradients compute again instead of keeping them: less memory for more work."""

    main: Layer
    scope: ClassVar[str] = ""

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return self.main.init(key, x)

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        if _running.watch is not None:  # the watcher gets the arrays that the inner layers receive
            return apply_as("", self.main, params, state, x, key=key, train=train)
        return checkpoint(lambda *args: apply_as("", self.main, *args, key=key, train=train))(params, state, x)


@dataclass(frozen=True)
class Scope(Layer):
    """``main``, called ``label`` in marks, wherever it is; with "" it adds nothing to them.

    Example:
        >>> import anejax as aj
        >>> from anejax import nn, random
        >>> layer = nn.Sequential(nn.Scope("hidden", nn.Linear(16)), nn.ReLU())
        >>> params, state = layer.init(random.key(0), aj.ShapeDtypeStruct((1, 8), "float32"))
        >>> graph = aj.make_jaxpr(lambda p, x: layer.apply(p, state, x)[0])(params, aj.numpy.ones((1, 8)))
        >>> graph.eqns[0].mark.path
        'hidden'
    """

    label: str
    main: Layer

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return self.main.init(key, x)

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        return apply_as("", self.main, params, state, x, key=key, train=train)


def count_parameters(params: Any) -> int:
    """The number of elements in a tree of parameters."""
    return sum(int(leaf.size) for leaf in tree.leaves(params))
