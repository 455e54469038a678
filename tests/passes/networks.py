"""Small networks whose whole loss and gradient are legalized: (loss, its arguments, whether it has more results)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import anejax.numpy as jnp
from anejax import nn, random
from anejax.models import cifar
from anejax.models.chars import CharLSTM
from anejax.models.llama import Config, Llama
from anejax.train import classify, language

Network = tuple[Callable[..., Any], tuple[Any, ...], bool]

RNG = np.random.default_rng(0)
KEY = random.key(0)


def _group_normalised() -> nn.Layer:
    def block(features: int) -> list[nn.Layer]:
        return [nn.Conv2D(features, 3, padding="SAME", bias=False), nn.GroupNorm(2), nn.ReLU()]

    residual = nn.Residual(nn.Sequential(*block(8)))
    pools = nn.MaxPool(3, 2, "SAME"), nn.AvgPool(2)
    return nn.Sequential(*block(8), pools[0], residual, pools[1], nn.GlobalAvgPool(), nn.Dropout(0.1), nn.Linear(10))


def _perceptron() -> nn.Layer:
    return nn.Sequential(nn.Linear(32), nn.GELU(), nn.LayerNorm(), nn.Dropout(0.1), nn.Linear(10))


def _classifier(model: nn.Layer, shape: tuple[int, ...]) -> Network:
    images, labels = RNG.standard_normal(shape, np.float32), RNG.integers(0, 10, shape[0], np.int32)
    params, state = model.init(KEY, images)
    return classify.make_loss(model, 0.1), (params, state, images, labels, KEY), True


def _language(model: nn.Layer, vocabulary: int) -> Network:
    tokens, targets = (RNG.integers(0, vocabulary, (3, 8), np.int32) for _ in range(2))
    params, _ = model.init(KEY, tokens)
    return lambda p, x, y: jnp.mean(language.losses(model, p, x, y)), (params, tokens, targets), False


NETWORKS: dict[str, Callable[[], Network]] = {
    "cnn with batch norm": lambda: _classifier(cifar.network(4), (6, 3, 32, 32)),
    "cnn with group norm": lambda: _classifier(_group_normalised(), (5, 3, 17, 16)),
    "llama": lambda: _language(Llama(Config(16, 24, 2, 4, 2, 33, 16)), 33),
    "llama, computed again": lambda: _language(Llama(Config(16, 24, 2, 4, 2, 33, 16), remat=True), 33),
    "lstm": lambda: _language(CharLSTM(11, 8, 2), 11),
    "mlp": lambda: _classifier(_perceptron(), (16, 20)),
}
