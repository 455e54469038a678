"""Convolutional networks for small images. They return logits of ten classes, or of any number."""

from __future__ import annotations

from typing import Any

from anejax import nn


def block(name: str, features: int, *, pool: bool, axis_name: Any = None) -> list[nn.Layer]:
    """A 3 x 3 convolution, normalised, with ReLU; ``pool`` halves the sides. Profiles call them by ``name``."""
    norm = nn.BatchNorm(axis_name=axis_name)
    layers = {"conv": nn.Conv2D(features, 3, padding="SAME", bias=False), "norm": norm, "relu": nn.ReLU()}
    layers |= {"pool": nn.MaxPool(2)} if pool else {}
    return [nn.Scope(f"{name}/{part}", layer) for part, layer in layers.items()]


def network(width: int, axis_name: Any = None, classes: int = 10) -> nn.Layer:
    """Three blocks that halve the sides and double the features, a residual pair, and a linear layer.

    Batch norms take their statistics over ``axis_name`` too, if it is given (``nn.BatchNorm``).
    """
    inner = [x for i in range(2) for x in block(f"{i}", 4 * width, pool=False, axis_name=axis_name)]
    pair = nn.Residual(nn.Sequential(*inner))
    blocks = [x for i in range(3) for x in block(f"blocks/{i}", width << i, pool=True, axis_name=axis_name)]
    head = nn.Scope("mean", nn.GlobalAvgPool()), nn.Scope("classifier", nn.Linear(classes))
    return nn.Sequential(*blocks, nn.Scope("residual", pair), *head)


def demo(axis_name: Any = None) -> nn.Layer:
    """390,000 parameters; about 80 MFLOP per image, forward and backward."""
    return network(32, axis_name)


def full(axis_name: Any = None) -> nn.Layer:
    """1.55 million parameters; about 300 MFLOP per image, forward and backward."""
    return network(64, axis_name)
