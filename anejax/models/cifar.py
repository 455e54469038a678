"""Convolutional networks for small images: logits of ten classes, or of as many as there are."""

from __future__ import annotations

from anejax import nn


def block(name: str, features: int, *, pool: bool) -> list[nn.Layer]:
    """A 3 x 3 convolution, normalised, with ReLU; ``pool`` halves the sides. Profiles call them by ``name``."""
    layers = {"conv": nn.Conv2D(features, 3, padding="SAME", bias=False), "norm": nn.BatchNorm(), "relu": nn.ReLU()}
    layers |= {"pool": nn.MaxPool(2)} if pool else {}
    return [nn.Scope(f"{name}/{part}", layer) for part, layer in layers.items()]


def network(width: int, classes: int = 10) -> nn.Layer:
    """Three blocks that halve the sides and double the features, a residual pair, and a linear layer."""
    pair = nn.Residual(nn.Sequential(*(x for i in range(2) for x in block(f"{i}", 4 * width, pool=False))))
    blocks = [x for i in range(3) for x in block(f"blocks/{i}", width << i, pool=True)]
    head = nn.Scope("mean", nn.GlobalAvgPool()), nn.Scope("classifier", nn.Linear(classes))
    return nn.Sequential(*blocks, nn.Scope("residual", pair), *head)


def demo() -> nn.Layer:
    """390,000 parameters; about 80 MFLOP per image, forward and backward."""
    return network(32)


def full() -> nn.Layer:
    """1.55 million parameters; about 300 MFLOP per image, forward and backward."""
    return network(64)
