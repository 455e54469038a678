"""``fit`` trains a layer on arrays or batches; ``evaluate`` and ``predict`` use the result."""

from __future__ import annotations

import importlib
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress

import anejax as aj
import anejax.numpy as jnp
from anejax import dtypes, nn, optim, random, saving, tree
from anejax.errors import AnejaxError, MissingDependencyError, ShapeError
from anejax.paths import append
from anejax.train.loop import TrainingError
from anejax.tree import PyTree

Row = dict[str, float]
Loss = Callable[[Any, Any], Any]


class LabelError(AnejaxError, ValueError):
    """A label names no class of the network."""


class _State(NamedTuple):
    params: Any
    state: Any
    opt_state: Any
    key: Any


@dataclass(frozen=True)
class Fitted:
    """The result of ``fit``.

    Attributes:
        net: the layer.
        params, state: its parameters and state: the best ones where there was validation data, else the last.
        history: one row for each epoch: ``epoch``, ``loss``, ``valid_loss``, ``accuracy`` of classifiers, ``seconds``.
        best: the row of the epoch that ``params`` are of.
        loss: the minimised function.
    """

    net: nn.Layer
    params: Any
    state: Any
    history: list[Row]
    best: Row
    loss: Loss = field(repr=False)


def fit(
    net: nn.Layer,
    optimizer: Any,
    data: Any,
    *,
    valid: Any = None,
    loss: Loss | None = None,
    epochs: int = 10,
    batch: int = 32,
    patience: int | None = None,
    save: str | os.PathLike[str] | None = None,
    callbacks: Sequence[Callable[[Row], Any]] = (),
    start: tuple[Any, Any] | Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Fitted:
    """Trains ``net`` and returns it with its best parameters. Equal arguments give equal results on one machine.

    Args:
        net: a layer; its parameters are made for the first batch.
        optimizer: one of ``anejax.optim`` or optax.
        data: (x, y), arrays whose first axes are examples (x may be a tree of such), shuffled in each epoch; or an
            iterable of such pairs, each a batch, that can be iterated once for each epoch.
        valid: the same, or the part of the arrays to hold out, such as 0.2. Without it the training loss decides which
            parameters are best.
        loss: (output, y) -> a loss for each example, [N]. By default cross-entropy where y is integers [N] below the
            number of outputs, else the mean of the squared differences.
        epochs: how often all examples are seen, at most.
        batch: examples in a step; those that fill no whole batch wait for the next epoch's order.
        patience: stop after so many epochs in a row without a better loss.
        save: a file that always has the best parameters and state, named by their layers (``anejax.save``).
        callbacks: functions of each epoch's row, such as ``JsonLines("log.jsonl")``, ``TensorBoard("runs/first")``,
            ``wandb.log`` or ``trackio.log``; one that returns True ends the training.
        start: (params, state) to go on from, or ``anejax.load`` of a file that ``save`` wrote.
        seed: of initial values, order and dropout.
        progress: show a bar, and a line for each epoch, on a terminal.

    Raises:
        TrainingError: the loss is not finite. LabelError: a label names no output. ShapeError: x and y have not as
            many examples, or too few.

    Example:
        >>> import numpy as np
        >>> from anejax import nn, optim, train
        >>> x = np.random.default_rng(0).normal(size=(200, 2)).astype("float32")
        >>> y = (x.sum(1) > 0).astype("int32")
        >>> fitted = train.fit(nn.Linear(2), optim.adam(0.1), (x, y), valid=0.2, epochs=5, progress=False)
        >>> train.evaluate(fitted, (x, y))["accuracy"] > 0.95
        True
    """
    training, held = _parts(data, valid, batch, seed)
    first = next(iter(training(0)), None)
    if first is None:
        raise ShapeError("[fit] expected at least one batch, got none.")
    params, state, key = _start(net, first[0], start, seed)
    loss = loss or _default_loss(net, params, state, *first)
    step, measure = _train_step(net, optimizer, loss), _measure(net, loss)
    held_state = _State(params, state, optimizer.init(params), key)
    watch = _Watch("valid_loss" if held else "loss", patience, save, lambda: _names(net, first[0], params, state))
    with _Shown(epochs, progress) as shown:
        for epoch in range(epochs):
            begun = time.perf_counter()
            held_state, row = _epoch(step, held_state, training(epoch), loss, shown)
            row = {"epoch": epoch + 1, **row}
            if held:
                found = _evaluated(measure, held_state.params, held_state.state, held(0), loss)
                row |= {f"valid_{name}": value for name, value in found.items()}
            row["seconds"] = time.perf_counter() - begun
            watch.see(row, held_state.params, held_state.state)
            shown.row(row)
            asked = [callback(dict(row)) is True for callback in callbacks]
            if any(asked) or watch.done:
                break
    return Fitted(net, *watch.kept, watch.history, watch.best, loss)


def evaluate(fitted: Fitted, data: Any, *, batch: int = 256) -> Row:
    """The mean ``loss``, and the ``accuracy`` of a classifier, over (x, y) or an iterable of such batches."""
    batches, _ = _batches(data, batch, None)
    return _evaluated(_measure(fitted.net, fitted.loss), fitted.params, fitted.state, batches(0), fitted.loss)


def predict(fitted: Fitted, x: Any, *, batch: int = 256) -> np.ndarray:
    """The outputs of the network for the examples ``x``, arrays whose first axes are examples."""
    run = aj.jit(lambda params, state, x: fitted.net.apply(params, state, x)[0])
    count, found = _count(x), []
    for at in range(0, count, batch):
        part = _padded(_take(x, np.arange(at, min(at + batch, count))), min(batch, count))
        found.append(np.asarray(run(fitted.params, fitted.state, part))[: count - at])
    return np.concatenate(found) if found else np.zeros((0,), np.float32)


class JsonLines:
    """A callback that adds each epoch's row to a file, one object of JSON in each line."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def __call__(self, row: Row) -> None:
        append(self.path, json.dumps(row) + "\n")


class TensorBoard:
    """A callback that writes each epoch's row as scalars for TensorBoard, by tensorboardX or torch, whichever is there.

    Raises:
        MissingDependencyError: neither is installed.

    Example:
        >>> callbacks = [TensorBoard("runs/first")]  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        for module in ("tensorboardX", "torch.utils.tensorboard"):
            try:
                self._writer = importlib.import_module(module).SummaryWriter(os.fspath(folder))
                return
            except ImportError as err:
                missing = err
        raise MissingDependencyError(
            f"[TensorBoard] expected tensorboardX, or torch with tensorboard: pip install tensorboardX ({missing})"
        )

    def __call__(self, row: Row) -> None:
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()


@dataclass(frozen=True)
class CrossEntropy:
    """One loss, in nats, for each example of integer labels below ``classes``. ``fit`` uses it for classifiers."""

    classes: int

    def __call__(self, logits: Any, labels: Any) -> Any:
        return optim.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)

    def check(self, labels: Any) -> None:
        """Raises LabelError when a label names no class."""
        least, most = int(np.min(labels)), int(np.max(labels))
        if least < 0 or most >= self.classes:
            raise LabelError(
                f"[fit] expected labels from 0 to {self.classes - 1}, since the network has {self.classes} outputs, got"
                f" {least if least < 0 else most}."
            )


def squared_error(output: Any, y: Any) -> Any:
    """The mean of the squared differences of each example, [N]. ``fit`` uses it for numbers."""
    if output.shape != y.shape:
        raise ShapeError(
            f"[fit] expected targets of the shape of the outputs, {output.shape}, got {y.shape}. Reshape y, or give a"
            " loss of your own."
        )
    return jnp.mean(jnp.square(output - y), axis=tuple(range(1, output.ndim)))


# ---- data


_Batches = Callable[[int], Iterable[tuple[Any, Any]]]  # makes the batches of an epoch


def _parts(data: Any, valid: Any, batch: int, seed: int) -> tuple[_Batches, _Batches | None]:
    """The training batches by epoch, and those held out."""
    if isinstance(valid, float) or (isinstance(valid, int) and not isinstance(valid, bool)):
        if not isinstance(data, tuple) or not 0 < valid < 1:
            raise ValueError(f"[fit] expected arrays (x, y) and a part between 0 and 1 to hold out, got {valid!r}.")
        order = np.random.default_rng([seed, 1]).permutation(_count(data))
        kept = len(order) - max(1, round(len(order) * valid))
        data, valid = _take(data, order[:kept]), _take(data, order[kept:])
    training, _ = _batches(data, batch, seed)
    return training, None if valid is None else _batches(valid, batch, None)[0]


def _batches(data: Any, batch: int, seed: int | None) -> tuple[_Batches, int | None]:
    """Batches by epoch, shuffled by ``seed``; without one, in order, with the last one shorter."""
    if batch < 1:
        raise ValueError(f"[fit] expected a batch of 1 or more examples, got {batch}.")
    if not (isinstance(data, tuple) and len(data) == 2):
        return lambda epoch: data, None
    count = _count(data)
    size = min(batch, count)
    if size < 1:
        raise ShapeError("[fit] expected one example or more, got none.")

    def of(epoch: int) -> Iterator[tuple[Any, Any]]:
        order = np.arange(count) if seed is None else np.random.default_rng([seed, 0, epoch]).permutation(count)
        end = count if seed is None else count // size * size
        for at in range(0, end, size):
            yield _take(data, order[at : at + size])

    return of, -(-count // size) if seed is None else count // size


def _count(of: Any) -> int:
    """The number of examples. Raises ShapeError unless all arrays have the same number."""
    counts = {np.shape(leaf)[:1] for leaf in tree.leaves(of)}
    if len(counts) != 1 or not min(counts):
        shapes = ", ".join(str(list(np.shape(leaf))) for leaf in tree.leaves(of))
        raise ShapeError(f"[fit] expected arrays with as many examples along their first axes, got shapes {shapes}.")
    return min(counts)[0]


def _take(of: Any, index: np.ndarray) -> Any:
    return tree.map(lambda leaf: np.asarray(leaf)[index], of)


def _padded(of: Any, size: int) -> Any:
    """The examples, and copies of the last one up to ``size``."""
    return tree.map(lambda a: np.concatenate([a, np.repeat(a[-1:], size - len(a), axis=0)]) if len(a) < size else a, of)


# ---- steps


def _start(net: nn.Layer, x: Any, start: Any, seed: int) -> tuple[Any, Any, Any]:
    key, init_key = random.split(random.key(seed))
    if isinstance(start, Mapping):
        return start["params"], start["state"], key
    if start is not None:
        return *start, key
    return *net.init(init_key, _types(x)), key


def _types(x: Any) -> Any:
    return tree.map(lambda leaf: aj.ShapeDtypeStruct(np.shape(leaf), dtypes.canonical(np.asarray(leaf).dtype)), x)


def _names(net: nn.Layer, x: Any, params: PyTree, state: PyTree) -> list[str]:
    """The names of the arrays of ``params`` and ``state`` in a file, as in checkpoints of runs."""
    named = nn.parameter_names(net, _types(x), (params, state))
    return [f"{part}/{name}" for part, own in zip(("params", "state"), named) for name in tree.leaves(own)]


def _default_loss(net: nn.Layer, params: PyTree, state: PyTree, x: Any, y: Any) -> Loss:
    output = aj.eval_shape(lambda p, s, v: net.apply(p, s, v)[0], params, state, tree.map(np.asarray, x))
    labels = np.asarray(y)
    classified = dtypes.is_int(labels.dtype) and labels.ndim + 1 == len(output.shape)
    return CrossEntropy(output.shape[-1]) if classified else squared_error


def _metrics(loss: Loss, output: Any, y: Any) -> dict[str, Any]:
    found = {"loss": loss(output, y)}
    if isinstance(loss, CrossEntropy):
        found["accuracy"] = (jnp.argmax(output, -1) == y).astype(jnp.float32)
    return found


def _train_step(net: nn.Layer, optimizer: Any, loss: Loss) -> Callable[..., Any]:
    def total(params: PyTree, state: PyTree, x: Any, y: Any, key: Any) -> PyTree:
        output, state = net.apply(params, state, x, key=key, train=True)
        means = {name: jnp.mean(value) for name, value in _metrics(loss, output, y).items()}
        return means["loss"], (state, means)

    def step(held: _State, x: Any, y: Any) -> Any:
        key, own = random.split(held.key)
        (_, (state, means)), grads = aj.value_and_grad(total, has_aux=True)(held.params, held.state, x, y, own)
        updates, opt_state = optimizer.update(grads, held.opt_state, held.params)
        return _State(optim.apply_updates(held.params, updates), state, opt_state, key), means

    return aj.jit(step)


def _measure(net: nn.Layer, loss: Loss) -> Callable[..., Any]:
    """(params, state, x, y, weight) -> sums over the examples, each by its weight."""

    def measure(params: PyTree, state: PyTree, x: Any, y: Any, weight: Any) -> PyTree:
        found = _metrics(loss, net.apply(params, state, x)[0], y)
        mean = lambda value: value.reshape((len(value), -1)).mean(1)  # noqa: E731
        return {name: jnp.sum(weight * mean(value)) for name, value in found.items()}

    return aj.jit(measure)


def _epoch(step: Any, held: _State, batches: Iterable[Any], loss: Loss, shown: _Shown) -> tuple[_State, Row]:
    totals: Row = {}
    count = 0
    for count, (x, y) in enumerate(batches, 1):
        _check_labels(y, loss)
        held, means = step(held, x, y)
        values = {name: float(value) for name, value in means.items()}
        if not math.isfinite(values["loss"]):
            raise TrainingError(f"[fit] the loss is {values['loss']} in batch {count}: {_why(x, y)}")
        totals = {name: totals.get(name, 0.0) + value for name, value in values.items()}
        shown.step(count, totals["loss"] / count)
    if not count:
        raise ShapeError("[fit] the batches ended in an earlier epoch; give an iterable that can be iterated again.")
    return held, {name: value / count for name, value in totals.items()}


def _why(x: Any, y: Any) -> str:
    """The message about a loss that is not finite."""
    return _not_finite(x, y) or "training diverged. Try a smaller learning rate."


def _not_finite(x: Any, y: Any) -> str | None:
    """The data that is not finite, if any."""
    for name, part in (("x", x), ("y", y)):
        for leaf in map(np.asarray, tree.leaves(part)):
            if dtypes.is_float(leaf.dtype) and not np.isfinite(leaf).all():
                return f"{name} holds NaN or infinity, first at {[int(i) for i in np.argwhere(~np.isfinite(leaf))[0]]}."
    return None


def _check_labels(y: Any, loss: Loss) -> None:
    if isinstance(loss, CrossEntropy):
        loss.check(y)


def _evaluated(measure: Any, params: PyTree, state: PyTree, batches: Iterable[Any], loss: Loss) -> Row:
    totals: Row = {}
    count, size = 0, 0
    for x, y in batches:
        own = _count((x, y))
        size = max(size, own)
        _check_labels(y, loss)
        weight = (np.arange(size) < own).astype(np.float32)
        sums = measure(params, state, _padded(tree.map(np.asarray, x), size), _padded(np.asarray(y), size), weight)
        values = {name: float(value) for name, value in sums.items()}
        if not math.isfinite(values["loss"]) and (said := _not_finite(x, y)):
            raise TrainingError(f"[evaluate] the loss is {values['loss']}: {said}")
        totals = {name: totals.get(name, 0.0) + value for name, value in values.items()}
        count += own
    if not count:
        raise ShapeError("[evaluate] expected one example or more, got none.")
    return {name: value / count for name, value in totals.items()}


# ---- the best parameters, and progress


class _Watch:
    """Keeps the rows of all epochs and the parameters of the best one."""

    def __init__(self, name: str, patience: int | None, path: Any, names: Callable[[], list[str]]) -> None:
        self.name, self.patience, self.path, self.names = name, patience, path, names
        self.history: list[Row] = []
        self.best: Row = {}
        self.kept: tuple[Any, Any] = ((), ())

    def see(self, row: Row, params: PyTree, state: PyTree) -> None:
        self.history.append(row)
        if not self.best or row[self.name] < self.best[self.name]:
            self.best, self.kept = row, (params, state)
            if self.path is not None:
                saving.write(Path(self.path), {"params": params, "state": state}, self.names())

    @property
    def done(self) -> bool:
        return self.patience is not None and self.history[-1]["epoch"] - self.best["epoch"] >= self.patience


class _Shown:
    """A bar for the running epoch and a line for each one behind it, on a terminal."""

    def __init__(self, epochs: int, shown: bool) -> None:
        console = Console()
        self.bar = Progress(console=console, transient=True, disable=not (shown and console.is_terminal))
        self.epochs, self.task = epochs, None

    def __enter__(self) -> _Shown:
        self.bar.__enter__()
        self.task = self.bar.add_task("", total=None)
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.__exit__(*error)

    def step(self, count: int, loss: float) -> None:
        assert self.task is not None
        self.bar.update(self.task, completed=count, description=f"step {count}, loss {loss:.4f}")

    def row(self, row: Mapping[str, float]) -> None:
        if not self.bar.disable:
            said = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch")
            self.bar.console.print(f"epoch {row['epoch']} of {self.epochs}: {said}", highlight=False, markup=False)
