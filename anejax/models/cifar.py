"""Two convolutional networks for images of 32 x 32 pixels: logits of ten classes."""

from __future__ import annotations

from anejax import nn


def conv_block(features: int, *, pool: bool = False) -> list[nn.Layer]:
    """3 x 3 convolution, normalisation, ReLU, and halving of the sides if ``pool``."""
    conv = nn.Conv2D(features, 3, padding="SAME", use_bias=False)
    return [conv, nn.BatchNorm(), nn.ReLU(), *([nn.MaxPool(2)] if pool else [])]


def residual(features: int) -> nn.Layer:
    """Two blocks with a way around them."""
    return nn.Residual(nn.Sequential(*conv_block(features), *conv_block(features)))


def demo() -> nn.Layer:
    """390,000 parameters; 75 MFLOP per image, forward and backward."""
    return nn.Sequential(
        *conv_block(32, pool=True),
        *conv_block(64, pool=True),
        *conv_block(128, pool=True),
        residual(128),
        nn.GlobalAvgPool(),
        nn.Linear(10),
    )


def full() -> nn.Layer:
    """1.6 million parameters; 500 MFLOP per image, forward and backward."""
    return nn.Sequential(
        *conv_block(32),
        *conv_block(64, pool=True),
        residual(64),
        *conv_block(128, pool=True),
        *conv_block(256, pool=True),
        residual(256),
        nn.GlobalAvgPool(),
        nn.Linear(10),
    )
