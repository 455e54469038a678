"""``train.fit``, ``evaluate`` and ``predict``: what they compute, when they stop, what they keep, what they refuse."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import anejax as aj
from anejax import nn, optim, train
from anejax.errors import MissingDependencyError, ShapeError
from anejax.train.loop import TrainingError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype(np.float32)
Y = (X @ np.array([1.0, -2.0, 0.5]) > 0).astype(np.int64)


def fit(data=(X, Y), net=None, optimizer=None, **options):
    options = {"epochs": 3, "batch": 16, "progress": False, **options}
    return train.fit(net or nn.Linear(2), optimizer or optim.sgd(0.5), data, **options)


def test_a_line_is_fitted_as_by_hand() -> None:
    """Gradient descent on all examples at once, in float64."""
    y = (X @ np.array([[1.0], [2.0], [3.0]]) + 0.5).astype(np.float32)
    start = ({"w": np.zeros((3, 1), np.float32), "b": np.zeros(1, np.float32)}, ())
    fitted = fit((X, y), nn.Linear(1), optim.sgd(0.1), batch=60, epochs=20, start=start)
    w, b = np.zeros((3, 1)), np.zeros(1)
    for _ in range(20):
        wrong = X.astype(np.float64) @ w + b - y
        w, b = w - 0.2 * X.T.astype(np.float64) @ wrong / 60, b - 0.2 * wrong.mean(0)
    assert np.allclose(fitted.params["w"], w, atol=1e-5) and np.allclose(fitted.params["b"], b, atol=1e-5)
    assert fitted.history[-1]["loss"] == pytest.approx(float(np.mean((wrong) ** 2)), rel=1e-4)


def test_a_classifier_is_measured_and_asked() -> None:
    fitted = fit(valid=0.25, epochs=8)
    assert set(fitted.history[0]) == {"epoch", "loss", "accuracy", "valid_loss", "valid_accuracy", "seconds"}
    logits = train.predict(fitted, X, batch=7)
    assert np.allclose(logits, X @ np.asarray(fitted.params["w"]) + np.asarray(fitted.params["b"]), atol=1e-6)
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(1, keepdims=True)
    expected = {"loss": -np.log(p[np.arange(60), Y]).mean(), "accuracy": (logits.argmax(1) == Y).mean()}
    for size in (7, 60, 256):
        assert train.evaluate(fitted, (X, Y), batch=size) == pytest.approx(expected, rel=1e-5)
    assert expected["accuracy"] > 0.9
    assert train.predict(fitted, X[:0]).shape[0] == 0


def test_rows_go_to_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, float, float]] = []

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path)

        def add_scalar(self, name: str, value: float, step: float) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            written.append(("flush", 0, 0))

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    history = fit(callbacks=[train.TensorBoard(tmp_path)], epochs=2).history
    assert [w for w in written if w[0] == "loss"] == [("loss", r["loss"], r["epoch"]) for r in history]
    assert {name for name, *_ in written} == {"loss", "accuracy", "seconds", "flush"}
    for absent in ("tensorboardX", "torch", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(MissingDependencyError, match="pip install tensorboardX"):
        train.TensorBoard(tmp_path)


def test_equal_arguments_give_equal_runs() -> None:
    first, second, third = fit(seed=1), fit(seed=1), fit(seed=2)
    assert np.array_equal(first.params["w"], second.params["w"])
    assert not np.array_equal(first.params["w"], third.params["w"])


def test_the_best_parameters_are_kept_and_patience_ends_a_run(tmp_path: Path) -> None:
    """Ascent makes the loss worse after each epoch, so the first one is best."""
    seen = []
    fitted = fit(
        optimizer=optim.sgd(-0.01), valid=(X, Y), epochs=9, patience=2, save=tmp_path / "best", callbacks=[seen.append]
    )
    assert [row["epoch"] for row in fitted.history] == [1, 2, 3] == [row["epoch"] for row in seen]
    assert fitted.best is fitted.history[0]
    assert train.evaluate(fitted, (X, Y))["loss"] == pytest.approx(fitted.best["valid_loss"])
    assert np.array_equal(aj.load(tmp_path / "best")["params"]["w"], fitted.params["w"])


def test_the_file_names_arrays_by_their_layers(tmp_path: Path) -> None:
    """As checkpoints of runs do; files of older versions named them by their places."""
    net = nn.Sequential(nn.Scope("hidden", nn.Linear(4)), nn.BatchNorm(), nn.Residual(nn.Linear(4)), nn.Linear(2))
    path, older = tmp_path / "best.safetensors", tmp_path / "older.safetensors"
    fitted = fit(net=net, save=path, epochs=1)
    names = set(safetensors.numpy.load_file(path))
    assert names == {
        *(f"params/{layer}/{array}" for layer in ("hidden", "2", "3") for array in "wb"),
        "params/1/scale", "params/1/bias", "state/1/mean", "state/1/var",
    }  # fmt: skip
    held = {"params": fitted.params, "state": fitted.state}
    aj.save(older, held)
    for file in (path, older):
        for loaded in (aj.load(file), aj.load(file, like=held)):
            assert aj.tree.structure(loaded) == aj.tree.structure(held)
            assert aj.tree.all(aj.tree.map(np.array_equal, loaded, held))
        again = fit(net=net, start=aj.load(file), optimizer=optim.sgd(0.0), epochs=1)
        assert aj.tree.all(aj.tree.map(np.array_equal, again.params, fitted.params))
    with pytest.raises(aj.errors.TreeError, match=r"has no array 'params\.0\.v'"):
        aj.load(path, like={**held, "params": ({"v": held["params"][0]["w"]}, *held["params"][1:])})


def test_callbacks_write_and_stop(tmp_path: Path) -> None:
    fitted = fit(callbacks=[train.JsonLines(tmp_path / "log.jsonl"), lambda row: row["epoch"] == 2], epochs=5)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == fitted.history and len(rows) == 2


def test_batches_of_ones_own_and_dropout_with_state() -> None:
    net = nn.Sequential(nn.Linear(4), nn.BatchNorm(), nn.Dropout(0.5), nn.Linear(2))
    batches = [(X[:20], Y[:20]), (X[20:40], Y[20:40])]
    fitted = fit(batches, net, valid=[(X[40:], Y[40:])])
    assert len(fitted.history) == 3 and not np.array_equal(np.asarray(fitted.state[1]["mean"]), np.zeros(4))
    with pytest.raises(ShapeError, match="iterated again"):
        fit(iter(batches))


def test_a_loss_of_ones_own() -> None:
    fitted = fit((X, X[:, 0]), nn.Linear(1), loss=lambda output, y: abs(output[:, 0] - y), epochs=30, batch=60)
    assert fitted.history[-1]["loss"] < 0.4 * fitted.history[0]["loss"]


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ((X, Y + 1), train.LabelError, "labels from 0 to 1, since the network has 2 outputs, got 2"),
        ((X, Y - 1), train.LabelError, "got -1"),
        ((X, Y[:5]), ShapeError, r"as many examples .* got shapes \[60, 3\], \[5\]"),
        ((X[:0], Y[:0]), ShapeError, "expected one example or more"),
        ((X, X[:, :1]), ShapeError, r"targets of the shape of the outputs, \(16, 2\), got \(16, 1\)"),
        (
            (np.array([[1, np.nan, 0]], np.float32), Y[:1]),
            TrainingError,
            r"batch 1: x holds NaN or infinity, first at \[0, 1\]",
        ),
    ],
)
def test_data_that_cannot_be_fitted(data, error, message) -> None:
    with pytest.raises(error, match=message):
        fit(data)


def test_data_to_evaluate_that_is_not_finite() -> None:
    held = X.copy()
    held[40, 2] = np.inf
    for run in (lambda: fit(valid=(held, Y)), lambda: train.evaluate(fit(), (held, Y), batch=32)):
        with pytest.raises(TrainingError, match=r"\[evaluate\] the loss is .*: x holds NaN or infinity, first at"):
            run()


def test_options_that_make_no_sense() -> None:
    for options in ({"valid": 1.5}, {"batch": 0}):
        with pytest.raises(ValueError, match="expected"):
            fit(**options)
    with pytest.raises(TrainingError, match="smaller learning rate"):
        fit((X, X[:, :1]), nn.Linear(1), optim.sgd(1e6), epochs=30)
