"""The product's training steps on the engine device, over the stand-in for Espresso, against float32 on the CPU device.

Measured are the distance of the loss curves, max |ane - cpu| / cpu over all steps, in units of float16's rounding, and
how far apart the weights end, as a part of the way that training moved them. The bounds are about twice what was found.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import nn, optim, random
from anejax.config import config
from anejax.errors import NumericsWarning
from anejax.models import chars, cifar, llama
from anejax.runtime.execute import compile_count
from anejax.train import classify, language

EPS = 2.0**-11  # of float16
STEPS = 8


@pytest.fixture
def engine(espresso: Path) -> Iterator[None]:
    """The stand-in as the default device, with all that it can have; a fall-back is an error."""
    settings = config.override("engine_partition", "all"), config.override("engine_fallback", "error")
    with settings[0], settings[1], aj.default_device("ane"):
        yield


@dataclass(frozen=True)
class Case:
    """A training step, the state and the batch it begins with, how far from float32 it may get, and as how many engine
    programs it may run."""

    make_step: Callable[[], Any]
    state: Any
    batch: tuple[np.ndarray, ...]
    loss_distance: float  # in EPS
    way_distance: float
    programs: int = 2  # the network with its gradients, and the loss itself


def images(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise whose brightness tells the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, shape[0]).astype(np.int32)
    return rng.standard_normal(shape, np.float32) + labels.reshape(-1, *[1] * (len(shape) - 1)) / np.float32(5), labels


def classifier(model: nn.Layer, shape: tuple[int, ...], *bounds: float, scale: float = 1, rate: float = 0.05) -> Case:
    optimizer = optim.chain(optim.add_decayed_weights(5e-4), optim.sgd(rate, momentum=0.9, nesterov=True))
    x, labels = images(*shape)
    x *= np.float32(scale)
    state = classify.init_state(model, optimizer, x, seed=0)
    return Case(lambda: classify.train_step(model, optimizer, 0.1), state, (x, labels), *bounds)


def writer(
    model: nn.Layer, vocabulary: int, shape: tuple[int, int], *bounds: Any, period: int = 0, scale: float = 1
) -> Case:
    """Tokens are noise, which repeats where a ``period`` is given; their embeddings are ``scale`` times as large as
    the model makes them."""
    optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.adam(1e-2))
    tokens = np.random.default_rng(0).integers(0, vocabulary, (shape[0], shape[1] + 1)).astype(np.int32)
    tokens = tokens[:, np.arange(shape[1] + 1) % (period or shape[1] + 1)]
    params, _ = model.init(random.key(0), aj.ShapeDtypeStruct((1, 1), "int32"))
    table = params["embedding" if isinstance(params, dict) else 0]
    table["w"] = table["w"] * scale
    state = language.TrainState(params, optimizer.init(params))
    return Case(lambda: language.train_step(model, optimizer), state, (tokens[:, :-1], tokens[:, 1:]), *bounds)


def mlp() -> nn.Layer:
    return nn.Sequential(nn.Flatten(), nn.Linear(64), nn.ReLU(), nn.Linear(32), nn.ReLU(), nn.Linear(10))


NETWORKS = {
    "mlp": mlp,
    "cifar10": lambda: cifar.network(4),
    "stories": lambda: llama.Llama(llama.Config(16, 32, 2, 4, 2, 32, 16)),
    "vocabulary": lambda: llama.Llama(llama.Config(16, 32, 2, 4, 2, 17000, 16)),
    "lstm": lambda: chars.CharLSTM(17, 16),
}
CASES = {
    "mlp": lambda: classifier(NETWORKS["mlp"](), (32, 8, 8), 8, 0.02),
    "cifar10": lambda: classifier(NETWORKS["cifar10"](), (4, 3, 32, 32), 16, 0.12),
    "stories": lambda: writer(NETWORKS["stories"](), 32, (4, 12), 8, 0.08),
    "vocabulary": lambda: writer(NETWORKS["vocabulary"](), 17000, (4, 12), 8, 0.08),  # longer than an axis may be
    "lstm": lambda: writer(NETWORKS["lstm"](), 17, (4, 6), 5, 0.002),
    "long lstm": lambda: writer(NETWORKS["lstm"](), 17, (4, 100), 2, 0.012, 6, period=4),
}

# Inputs at 16 times their scale. The LSTM's gates are saturated then, and Adam moves weights of small gradients as far
# as those of large ones.
LARGE = {
    "mlp": lambda: classifier(NETWORKS["mlp"](), (32, 8, 8), 8, 0.02, scale=16, rate=0.05 / 16**2),
    "cifar10": lambda: classifier(NETWORKS["cifar10"](), (4, 3, 32, 32), 16, 0.2, scale=16),
    "stories": lambda: writer(NETWORKS["stories"](), 32, (4, 12), 8, 0.08, scale=16),
    "lstm": lambda: writer(NETWORKS["lstm"](), 17, (4, 6), 5, 0.3, scale=16),
}


def train(step: Any, case: Case) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """(losses, all weights afterwards, programs compiled after each step)."""
    state, losses, compiled = aj.tree.map(lambda leaf: leaf.copy(), case.state), [], []  # steps donate theirs
    for _ in range(STEPS):
        state, metrics = step(state, *case.batch)
        losses.append(float(metrics["loss"]))
        compiled.append(compile_count())
    return np.array(losses), weights(state), compiled


def weights(state: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in aj.tree.leaves(state.params)])


@pytest.mark.parametrize("case", [*CASES.values(), *LARGE.values()], ids=[*CASES, *(f"{n}, large" for n in LARGE)])
def test_trains_as_in_float32(engine: None, case: Callable[[], Case]) -> None:
    made = case()
    with aj.default_device("cpu"):
        expected, there, _ = train(made.make_step(), made)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NumericsWarning)
        losses, arrived, compiled = train(made.make_step(), made)
    assert compiled == compiled[:1] * STEPS, "no program is compiled after the first step"
    distance = np.max(np.abs(losses - expected) / expected) / EPS
    way = np.linalg.norm(arrived - there) / np.linalg.norm(there - weights(made.state))
    assert 0 < distance < made.loss_distance, "0 would be float32"
    assert expected[-1] < 0.9 * expected[0]
    assert way < made.way_distance


@pytest.mark.parametrize("name", CASES)
def test_products_and_loops_are_the_engines(engine: None, name: str) -> None:
    """A scan of 100 steps is two programs in each direction, with what the CPU device adds up between its chunks."""
    case = CASES[name]()
    text = case.make_step().lower(case.state, *case.batch).as_text()
    segments = re.findall(r"// segment [^\n]*: (\S+)\n(.*?)(?=// segment|\Z)", text, re.DOTALL)
    assert len({text for device, text in segments if device == "ane"}) <= case.programs
    host = "".join(text for device, text in segments if device == "cpu")
    assert not re.search(r"= (matmul|conv|aj_scan|aj_dot\w*|aj_conv\w*)\(", host)


def test_a_scaled_loss_trains_as_in_float32(engine: None) -> None:
    """The product's own step, with a scale that grows after every step until float16 does not hold it."""
    case = CASES["mlp"]()
    with aj.default_device("cpu"):
        expected, _, _ = train(case.make_step(), case)
    optimizer = optim.chain(optim.add_decayed_weights(5e-4), optim.sgd(0.05, momentum=0.9, nesterov=True))
    step, scaled = classify.mixed_train_step(mlp(), optimizer, 0.1, "compute=float16", growth_interval=1)
    state, losses, skipped = scaled(aj.tree.map(lambda leaf: leaf.copy(), case.state)), [], 0
    while len(losses) < STEPS:
        state, metrics = step(state, *case.batch)
        skipped += int(metrics["skipped"])
        losses += [] if metrics["skipped"] else [float(metrics["loss"])]
    assert 2 <= skipped <= STEPS
    np.testing.assert_allclose(losses, expected, rtol=8 * EPS)
