"""Convolutional networks for images of 32 x 32 pixels: logits of ten classes."""

from __future__ import annotations

from anejax import nn


def block(features: int, *, pool: bool) -> list[nn.Layer]:
    """A 3 x 3 convolution, normalised, with ReLU; ``pool`` halves the sides."""
    layers = [nn.Conv2D(features, 3, padding="SAME", bias=False), nn.BatchNorm(), nn.ReLU()]
    return [*layers, nn.MaxPool(2)] if pool else layers


def network(width: int) -> nn.Layer:
    """Three blocks that halve the sides and double the features, a residual pair, and a linear layer."""
    pair = nn.Sequential(*block(4 * width, pool=False), *block(4 * width, pool=False))
    blocks = [layer for i in range(3) for layer in block(width << i, pool=True)]
    return nn.Sequential(*blocks, nn.Residual(pair), nn.GlobalAvgPool(), nn.Linear(10))


def demo() -> nn.Layer:
    """390,000 parameters; about 80 MFLOP per image, forward and backward."""
    return network(32)


def full() -> nn.Layer:
    """1.55 million parameters; about 300 MFLOP per image, forward and backward."""
    return network(64)
