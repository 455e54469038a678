"""Recurrent layers for sequences [N, T, features]. Each has one cell, which ``lax.scan`` runs along T.

A cell maps (carry, x[N, features]) to (carry, h[N, hidden]). A layer runs one over a sequence and returns every h. Gate
formulas, the order of gates and the names of weights are PyTorch's (``RNN``, ``LSTM``, ``GRU``), with weights
transposed: ``w`` [features, gates * hidden], ``u`` [hidden, gates * hidden], ``b`` [gates * hidden].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import anejax.numpy as jnp
from anejax import lax, random, tree
from anejax.api.composites import composed
from anejax.core.aval import ShapeDtypeStruct, type_text
from anejax.errors import ShapeError
from anejax.nn.functions import sigmoid
from anejax.nn.layer import Layer, apply_as, check_features, check_rank, spec, take
from anejax.nn.linear import weight_dtype


def _uniform(key: Any, shape: tuple[int, ...], dtype: Any, hidden: int) -> Any:
    """Uniform within 1 / sqrt(hidden), as these layers are usually started."""
    bound = 1 / math.sqrt(hidden)
    return random.uniform(key, shape, dtype, -bound, bound)


@dataclass(frozen=True)
class Cell(Layer):
    """Base of cells: parameters, the first carry, and ``step``.

    As a layer, a cell maps x [N, features] to h [N, hidden] with its carry as state, one step at a time: what sampling
    needs. ``step(params, carry, x)`` is the same as a function.
    """

    hidden: int
    bias: bool = True

    gates: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.hidden < 1:
            raise ShapeError(f"[{self.name}] expected hidden as a positive int, got {self.hidden}.")

    def params(self, key: Any, features: int, dtype: Any) -> dict[str, Any]:
        """Parameters for inputs of so many features."""
        w_key, u_key, b_key = random.split(key, 3)
        wide = self.gates * self.hidden
        made = {
            "w": _uniform(w_key, (features, wide), dtype, self.hidden),
            "u": _uniform(u_key, (self.hidden, wide), dtype, self.hidden),
        }
        return made | ({"b": _uniform(b_key, (wide,), dtype, self.hidden)} if self.bias else {})

    def carry(self, batch: int, dtype: Any) -> Any:
        """The carry before the first step: zeros [N, hidden]."""
        return jnp.zeros((batch, self.hidden), dtype)

    def weights(self, params: Any) -> dict[str, Any]:
        """``params``. Raises TreeError if they belong to another layer."""
        take(self, params, "w", "u", *(["b"] if self.bias else []))
        return params

    def inputs(self, params: Any, x: Any) -> Any:
        """x @ w + b, the part of the gates that no carry takes part in: [..., gates * hidden]."""
        w = self.weights(params)["w"]
        check_features(self, x, -1, w.shape[0])
        y = jnp.matmul(x, w)
        return y + params["b"] if self.bias else y

    def advance(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        """One step: (carry, h) from the carry and the result of ``inputs`` for x."""
        raise NotImplementedError

    def step(self, params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        """(carry, h) after one step with x [N, features]."""
        return self.advance(params, carry, self.inputs(params, x))

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        check_rank(self, x, 2, "one step [N, features]")
        dtype = weight_dtype(x)
        return self.params(key, x.shape[-1], dtype), self.carry(x.shape[0], dtype)

    def apply(self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, Any]:
        check_rank(self, x, 2, "one step [N, features]")
        carry, h = self.step(params, state, x)
        return h, carry


@dataclass(frozen=True)
class RNNCell(Cell):
    """h = tanh(x @ w + b + h @ u)."""

    def advance(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        h = jnp.tanh(inputs + jnp.matmul(carry, params["u"]))
        return h, h


@dataclass(frozen=True)
class LSTMCell(Cell):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), with carry (h, c) and gates i, f, g, o:

    c = sigmoid(f) * c + sigmoid(i) * tanh(g);  h = sigmoid(o) * tanh(c).
    """

    gates: ClassVar[int] = 4

    def carry(self, batch: int, dtype: Any) -> Any:
        return super().carry(batch, dtype), super().carry(batch, dtype)

    def step(self, params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        def step(params: Any, carry: Any, x: Any, **marks: Any) -> tuple[Any, Any]:
            return super(LSTMCell, self).step(params, carry, x)

        return composed(step, "anejax.nn.lstm_cell", self.weights(params), carry, x, bias=self.bias)

    def advance(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        h, c = carry
        i, f, g, o = jnp.split(inputs + jnp.matmul(h, params["u"]), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        h = sigmoid(o) * jnp.tanh(c)
        return (h, c), h


@dataclass(frozen=True)
class GRUCell(Cell):
    """Gated recurrent unit (Cho et al., 2014), with gates r, z, n:

    n = tanh(n_x + r * n_h);  h = (1 - z) * n + z * h. Its hidden part has a separate bias in the new gate, ``bn``.
    """

    gates: ClassVar[int] = 3

    def params(self, key: Any, features: int, dtype: Any) -> dict[str, Any]:
        key, n_key = random.split(key)
        made = super().params(key, features, dtype)
        return made | ({"bn": _uniform(n_key, (self.hidden,), dtype, self.hidden)} if self.bias else {})

    def weights(self, params: Any) -> dict[str, Any]:
        take(self, params, "w", "u", *(["b", "bn"] if self.bias else []))
        return params

    def advance(self, params: Any, carry: Any, inputs: Any) -> tuple[Any, Any]:
        r_x, z_x, n_x = jnp.split(inputs, 3, axis=-1)
        r_h, z_h, n_h = jnp.split(jnp.matmul(carry, params["u"]), 3, axis=-1)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = jnp.tanh(n_x + r * (n_h + params["bn"] if self.bias else n_h))
        h = (1 - z) * n + z * carry
        return h, h


@dataclass(frozen=True)
class Recurrent(Layer):
    """A cell run along the time of sequences [N, T, features]: [N, T, hidden].

    The products with all inputs are taken at once, before the scan. With ``stateful`` the last carry is the state, and
    the next call goes on from it, truncating its gradient there; otherwise every call begins at zero. ``reverse`` runs
    from the last step to the first.

    ``apply(..., lengths=n)`` takes int32[N], how many steps each sequence has: what lies behind them changes nothing,
    its outputs are 0, and the last carry is that of the last step.
    """

    hidden: int
    bias: bool = True
    reverse: bool = False
    stateful: bool = False

    cell_type: ClassVar[type[Cell]] = RNNCell

    @property
    def cell(self) -> Cell:
        """The cell that is run."""
        return self.cell_type(self.hidden, self.bias)

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        check_rank(self, x, 3, "sequences [N, T, features]")
        params, carry = self.cell.init(key, ShapeDtypeStruct((x.shape[0], x.shape[2]), spec(self, x).dtype))
        return params, carry if self.stateful else ()

    def apply(
        self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False, lengths: Any = None
    ) -> tuple[Any, Any]:
        check_rank(self, x, 3, "sequences [N, T, features]")
        cell = self.cell
        weights = cell.weights(params)
        dtype = jnp.result_type(x, *(weights[name] for name in ("w", "b") if name in weights))
        first = lax.stop_gradient(state) if self.stateful else cell.carry(x.shape[0], dtype)
        self._check_batch(first, x)
        ys, last = self._run(weights, first, x) if lengths is None else self._masked(weights, first, x, lengths)
        return ys, last if self.stateful else state

    def _run(self, params: Any, first: Any, x: Any) -> tuple[Any, Any]:
        """([N, T, hidden], the last carry)"""
        cell, inputs = self.cell, jnp.swapaxes(self.cell.inputs(params, x), 0, 1)
        last, ys = lax.scan(lambda c, i: cell.advance(params, c, i), first, inputs, reverse=self.reverse)
        return jnp.swapaxes(ys, 0, 1), last

    def _masked(self, params: Any, first: Any, x: Any, lengths: Any) -> tuple[Any, Any]:
        """As ``_run``, with steps behind the sequences' ends left out."""
        lengths = jnp.asarray(lengths)
        if lengths.shape != x.shape[:1]:
            raise ShapeError(f"[{self.name}] expected lengths [{x.shape[0]}], one per sequence, got {lengths.aval}.")
        inside = (jnp.arange(x.shape[1])[:, None] < lengths)[..., None]
        cell, inputs = self.cell, jnp.swapaxes(self.cell.inputs(params, x), 0, 1)

        def step(carry: Any, given: Any) -> tuple[Any, Any]:
            at, inside = given
            after, y = cell.advance(params, carry, at)
            return tree.map(lambda old, new: jnp.where(inside, new, old), carry, after), jnp.where(inside, y, 0)

        last, ys = lax.scan(step, first, (inputs, inside), reverse=self.reverse)
        return jnp.swapaxes(ys, 0, 1), last

    def _check_batch(self, carry: Any, x: Any) -> None:
        part = carry[0] if isinstance(carry, (tuple, list)) else carry
        if part.shape[0] != x.shape[0]:
            raise ShapeError(
                f"[{self.name}] expected the {part.shape[0]} sequences that the state is of, got {type_text(x)}."
            )


@dataclass(frozen=True)
class Bidirectional(Layer):
    """A recurrent layer in both directions: [N, T, 2 * hidden], the output of ``main``, then that of the reverse one.

    ``apply(..., lengths=n)`` is as of the layer: the reverse one begins at the last step of each sequence.

    Example:
        >>> from anejax import nn, random
        >>> import anejax.numpy as jnp
        >>> layer, x = nn.Bidirectional(nn.GRU(5)), jnp.ones((2, 7, 3))
        >>> params, state = layer.init(random.key(0), x)
        >>> layer.apply(params, state, x, lengths=jnp.array([7, 4]))[0].shape
        (2, 7, 10)
    """

    main: Recurrent

    def _parts(self) -> dict[str, Recurrent]:
        if self.main.stateful or self.main.reverse:
            raise ValueError("[Bidirectional] expected a layer that is neither stateful nor reversed.")
        return {"forward": self.main, "backward": replace(self.main, reverse=True)}

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        parts = self._parts()
        keys = random.split(key, 2)
        return {name: part.init(keys[i], x)[0] for i, (name, part) in enumerate(parts.items())}, ()

    def apply(
        self, params: Any, state: Any, x: Any, *, key: Any = None, train: bool = False, lengths: Any = None
    ) -> tuple[Any, Any]:
        parts = self._parts()
        of = dict(zip(parts, take(self, params, *parts), strict=True))
        ys = [apply_as(name, part, of[name], (), x, lengths=lengths)[0] for name, part in parts.items()]
        return jnp.concatenate(ys, axis=-1), state


@dataclass(frozen=True)
class RNN(Recurrent):
    """``RNNCell`` over a sequence."""


@dataclass(frozen=True)
class LSTM(Recurrent):
    """``LSTMCell`` over a sequence.

    Example:
        >>> from anejax import nn, random
        >>> import anejax.numpy as jnp
        >>> layer, x = nn.LSTM(5), jnp.ones((2, 7, 3))
        >>> params, state = layer.init(random.key(0), x)
        >>> layer.apply(params, state, x)[0].shape
        (2, 7, 5)
    """

    cell_type: ClassVar[type[Cell]] = LSTMCell

    def _run(self, params: Any, first: Any, x: Any) -> tuple[Any, Any]:
        def run(params: Any, first: Any, x: Any, **marks: Any) -> tuple[Any, Any]:
            return super(LSTM, self)._run(params, first, x)

        return composed(run, "anejax.nn.lstm", params, first, x, bias=self.bias, reverse=self.reverse)


@dataclass(frozen=True)
class GRU(Recurrent):
    """``GRUCell`` over a sequence."""

    cell_type: ClassVar[type[Cell]] = GRUCell
