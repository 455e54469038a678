"""The bits of every result are the same with any number of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, optim, random
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.models.llama import Config, Llama
from anejax.runtime import library
from anejax.train import classify, language


@pytest.fixture
def with_threads() -> Iterator[Callable[[int, Callable[[], Any]], list[np.ndarray]]]:
    before = library.num_threads()

    def run(count: int, function: Callable[[], Any]) -> list[np.ndarray]:
        library.set_num_threads(count)
        aj.clear_caches()  # a program is planned for the threads that there are
        return [np.asarray(x) for x in aj.tree.leaves(function())]

    yield run
    library.set_num_threads(before)
    aj.clear_caches()


def check(with_threads: Any, function: Callable[[], Any]) -> None:
    expected = with_threads(1, function)
    assert expected
    for count in (2, 3):
        for got, one in zip(with_threads(count, function), expected, strict=True):
            np.testing.assert_array_equal(got.reshape(-1).view(np.uint8), one.reshape(-1).view(np.uint8))


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("f")


# Products of about a million terms: BLAS has kernels of another order of additions for those below.
SIZES = [(m, n, k) for m in (1, 7, 33, 64, 100, 257, 300, 777, 1200) for n in (1, 10, 200, 513) for k in (5, 64, 300)]


@pytest.mark.parametrize("columns", (1, 10, 200, 513))
def test_products(with_threads: Any, columns: int) -> None:
    sizes = [(m, n, k) for m, n, k in SIZES if n == columns]

    def run() -> list[Any]:
        product = aj.jit(lambda a, b: (a @ b, (b.T @ a.T)))
        return [product(normal(m, k), normal(k, n)) for m, n, k in sizes]

    check(with_threads, run)


def test_products_of_batches_and_of_transposed_operands(with_threads: Any) -> None:
    def run() -> list[Any]:
        batches = [aj.jit(jnp.matmul)(normal(b, 130, 70), normal(b, 70, 90)) for b in (0, 1, 2, 3, 5)]
        turned = aj.jit(lambda a, b: (a.T @ b, a @ b.T))
        return [batches, turned(normal(300, 300), normal(300, 300)), aj.jit(jnp.matmul)(normal(0, 5), normal(5, 3))]

    check(with_threads, run)


@pytest.mark.parametrize("channels,filters,size,kernel,stride", [
    (3, 16, 32, 3, 1), (16, 32, 17, 3, 2), (32, 64, 8, 1, 1), (1, 2, 28, 5, 1), (40, 24, 9, 3, 1),
])  # fmt: skip
def test_convolutions(with_threads: Any, channels: int, filters: int, size: int, kernel: int, stride: int) -> None:
    def loss(x: Any, w: Any) -> Any:
        return jnp.sum(lax.conv_general_dilated(x, w, (stride, stride), "SAME") ** 2)

    def run() -> list[Any]:
        both = aj.jit(aj.value_and_grad(loss, (0, 1)))
        w = normal(filters, channels, kernel, kernel)
        return [both(normal(n, channels, size, size), w) for n in (1, 3, 8)]

    check(with_threads, run)


def test_depthwise_convolutions(with_threads: Any) -> None:
    def loss(x: Any, w: Any) -> Any:
        return jnp.sum(lax.conv_general_dilated(x, w, (1, 1), "SAME", feature_group_count=24) ** 2)

    check(with_threads, lambda: aj.jit(aj.value_and_grad(loss, (0, 1)))(normal(4, 24, 16, 16), normal(24, 1, 3, 3)))


def test_reductions_and_the_rest(with_threads: Any) -> None:
    def everything(a: Any) -> list[Any]:
        sums = [f(jnp.sin(a) * a, axis) for axis in (None, 0, 1) for f in (jnp.sum, jnp.prod, aj.nn.logsumexp)]
        indices = jnp.argsort(a[:, 0])
        moved = [a.at[indices % 7].add(a), a.at[:, indices % 5].add(a.T[: len(a)].T), jnp.take(a, indices, 0)]
        windows = lax.reduce_window(a, 0.0, lax.add, (5, 5), (2, 2), "SAME")
        return [*sums, *moved, windows, jnp.cumsum(a, 0), jnp.cumsum(a, 1), jnp.abs(jnp.fft.fft(a.reshape(-1)))]

    check(with_threads, lambda: aj.jit(everything)(normal(301, 701)))


def image_step() -> Any:
    model, optimizer = cifar.demo(), optim.sgd(0.1, momentum=0.9)
    images, labels = normal(16, 3, 32, 32), np.arange(16, dtype=np.int32) % 10
    state = classify.init_state(model, optimizer, images, 0)
    step = classify.train_step(model, optimizer, 0.1)
    for _ in range(2):
        state, metrics = step(state, images, labels)
    return state.params, state.model_state, metrics


def language_step(model: Any, vocabulary: int, length: int) -> Any:
    optimizer = optim.adam(1e-3)
    tokens = np.random.default_rng(0).integers(0, vocabulary, (8, length + 1)).astype(np.int32)
    params, _ = model.init(random.key(0), tokens[:, :-1])
    state, step = language.TrainState(params, optimizer.init(params)), language.train_step(model, optimizer)
    for _ in range(2):
        state, metrics = step(state, tokens[:, :-1], tokens[:, 1:])
    return state.params, metrics


@pytest.mark.parametrize("step", [
    image_step, lambda: language_step(CharLSTM(60, 96, 2), 60, 24),
    lambda: language_step(Llama(Config(64, 128, 2, 4, 2, 97, 48)), 97, 48),
], ids=("convolutions", "lstm", "transformer"))  # fmt: skip
def test_training_steps(with_threads: Any, step: Callable[[], Any]) -> None:
    check(with_threads, step)
