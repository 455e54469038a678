"""Eight networks whose plans are predicted (benchmarks.engine_plans), as functions of their parameters."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.cli import subject

Get = Callable[..., Any]  # a parameter by name and shape
Network = Callable[[Get, Any, bool], Any]  # of parameters, input and whether it trains


@dataclass(frozen=True)
class Task:
    """A network, the shapes of its input for inference and for training, and what it makes of them."""

    network: Network
    inference: tuple[int, ...]
    training: tuple[int, ...]


def conv(get: Get, name: str, x: Any, features: int, kernel: int, stride: int = 1) -> Any:
    w = get(name, (features, x.shape[1], kernel, kernel))
    return lax.conv_general_dilated(x, w, (stride, stride), [(kernel // 2, kernel // 2)] * 2)


def batch_norm(get: Get, name: str, x: Any, trains: bool) -> Any:
    count = x.shape[1]
    scale, bias, mean, var = (get(f"{name}.{k}", (count,)) for k in ("scale", "bias", "mean", "var"))
    if trains:
        mean = jnp.mean(x, (0, 2, 3))
        var = jnp.mean(jnp.square(x - mean.reshape(1, -1, 1, 1)), (0, 2, 3))
    factor = scale * lax.rsqrt(var + 1e-5)
    return x * factor.reshape(1, -1, 1, 1) + (bias - mean * factor).reshape(1, -1, 1, 1)


def block(get: Get, name: str, x: Any, features: int, trains: bool, stride: int = 1) -> Any:
    y = conv(get, f"{name}.conv", x, features, 3, stride)
    return jnp.maximum(batch_norm(get, f"{name}.norm", y, trains), 0)


def resnet18(get: Get, x: Any, trains: bool) -> Any:
    x = jnp.maximum(batch_norm(get, "norm", conv(get, "conv", x, 64, 7, 2), trains), 0)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 3, 3), (1, 1, 2, 2), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i, features in enumerate((64, 64, 128, 128, 256, 256, 512, 512)):
        stride = 2 if i in (2, 4, 6) else 1
        y = block(get, f"{i}.a", x, features, trains, stride)
        y = batch_norm(get, f"{i}.b.norm", conv(get, f"{i}.b.conv", y, features, 3), trains)
        if stride > 1:
            x = batch_norm(get, f"{i}.skip.norm", conv(get, f"{i}.skip.conv", x, features, 1, stride), trains)
        x = jnp.maximum(x + y, 0)
    return jnp.mean(x, (2, 3)) @ get("head", (512, 1000)) + get("head.bias", (1000,))


def unet(get: Get, x: Any, trains: bool) -> Any:
    """Four levels, 32 to 256 features; a logit for each pixel."""
    skips, widths = [], (32, 64, 128)
    double = lambda name, x, f: block(get, f"{name}.b", block(get, f"{name}.a", x, f, trains), f, trains)  # noqa: E731
    for i, features in enumerate(widths):
        skips.append(double(f"down{i}", x, features))
        x = lax.reduce_window(skips[-1], -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    x = double("middle", x, 256)
    for i, features in reversed([*enumerate(widths)]):
        w = get(f"up{i}", (features, x.shape[1], 2, 2))
        x = lax.conv_general_dilated(x, w, (1, 1), [(1, 1)] * 2, lhs_dilation=(2, 2))
        x = double(f"up{i}.double", jnp.concatenate([skips[i], x], 1), features)
    return conv(get, "head", x, 1, 1)


def encoder(layers: int, width: int, heads: int) -> Network:
    def norm(get: Get, name: str, x: Any) -> Any:
        centred = x - jnp.mean(x, -1, keepdims=True)
        unit = centred * lax.rsqrt(jnp.mean(jnp.square(centred), -1, keepdims=True) + 1e-5)
        return unit * get(f"{name}.scale", (width,)) + get(f"{name}.bias", (width,))

    def apply(get: Get, x: Any, trains: bool) -> Any:
        n, length, _ = x.shape
        parts = lambda a: a.reshape(n, length, heads, width // heads).transpose(0, 2, 1, 3)  # noqa: E731
        linear = lambda name, x, out: x @ get(name, (x.shape[-1], out)) + get(f"{name}.bias", (out,))  # noqa: E731
        for i in range(layers):
            h = norm(get, f"{i}.norm", x)
            q, k, v = (parts(linear(f"{i}.{name}", h, width)) for name in "qkv")
            scores = jnp.einsum("bhqd,bhkd->bhqk", q, k) * (width // heads) ** -0.5
            mixed = jnp.einsum("bhqk,bhkd->bhqd", aj.nn.softmax(scores, -1), v)
            x = x + linear(f"{i}.o", mixed.transpose(0, 2, 1, 3).reshape(n, length, width), width)
            x = x + linear(f"{i}.down", aj.nn.gelu(linear(f"{i}.up", norm(get, f"{i}.norm2", x), 4 * width)), width)
        return norm(get, "norm", x)

    return apply


def vit(get: Get, x: Any, trains: bool) -> Any:
    """ViT-B/16: an image of 224 x 224 as 196 tokens."""
    n = x.shape[0]
    x = x.reshape(n, 3, 14, 16, 14, 16).transpose(0, 2, 4, 1, 3, 5).reshape(n, 196, 768)
    x = x @ get("patches", (768, 768)) + get("positions", (196, 768))
    return jnp.mean(encoder(12, 768, 12)(get, x, trains), 1) @ get("head", (768, 1000))


def llama(get: Get, x: Any, trains: bool) -> Any:
    """The twelve layers of Stories 110M on 256 tokens, without embedding and classifier."""
    width, hidden, heads = 768, 2048, 12
    norm = lambda name, a: a * lax.rsqrt(jnp.mean(jnp.square(a), -1, keepdims=True) + 1e-5) * get(name, (width,))  # noqa: E731
    parts = lambda a: a.reshape(*a.shape[:2], heads, width // heads).transpose(0, 2, 1, 3)  # noqa: E731
    mask = get("mask", (x.shape[1], x.shape[1]))
    for i in range(12):
        h = norm(f"{i}.norm", x)
        q, k, v = (parts(h @ get(f"{i}.{name}", (width, width))) for name in "qkv")
        scores = jnp.einsum("bhqd,bhkd->bhqk", q, k) * (width // heads) ** -0.5 + mask
        mixed = jnp.einsum("bhqk,bhkd->bhqd", aj.nn.softmax(scores, -1), v)
        x = x + mixed.transpose(0, 2, 1, 3).reshape(x.shape) @ get(f"{i}.o", (width, width))
        h = norm(f"{i}.norm2", x)
        gated = aj.nn.silu(h @ get(f"{i}.gate", (width, hidden))) * (h @ get(f"{i}.up", (width, hidden)))
        x = x + gated @ get(f"{i}.down", (hidden, width))
    return x


TASKS: dict[str, Task] = {
    "ResNet-18": Task(resnet18, (1, 3, 224, 224), (16, 3, 224, 224)),
    "U-Net": Task(unet, (1, 3, 128, 128), (8, 3, 128, 128)),
    "MiniLM": Task(encoder(6, 384, 12), (1, 128, 384), (8, 128, 384)),
    "ViT-B/16": Task(vit, (1, 3, 224, 224), (8, 3, 224, 224)),
}
BUNDLED = {
    "CIFAR-10, demo": ("cifar10", "--preset", "demo"),
    "CIFAR-10, full": ("cifar10", "--preset", "full"),
    "Stories 15M": ("stories", "--size", "15M"),
    "Stories 110M": ("stories", "--size", "110M"),
}
NAMES = (*BUNDLED, *TASKS)


def subject_of(name: str, step: str) -> subject.Subject:
    """A network's function and the types of its arguments; ``step`` is "forward" or "train"."""
    if name in BUNDLED:
        parser = argparse.ArgumentParser()
        subject.configure(parser)
        batch = ["--batch", "1"] if step == "forward" else []
        return subject.find(parser.parse_args([*BUNDLED[name], "--step", step, *batch]))  # type: ignore[return-value]
    task = TASKS[name]
    x = aj.ShapeDtypeStruct(task.inference if step == "forward" else task.training, "float32")
    if step == "forward":
        params = {k: jnp.ones(s, jnp.float32) for k, s in _shapes(task.network, x).items()}
        return aj.jit(lambda x: task.network(lambda k, s: params[k], x, False), constants=params), (x,)
    types = {k: aj.ShapeDtypeStruct(s, "float32") for k, s in _shapes(task.network, x).items()}
    loss = lambda p, x: jnp.mean(jnp.square(task.network(lambda k, s: p[k], x, True)))  # noqa: E731
    return aj.value_and_grad(loss), (types, x)


def forward_and_back() -> subject.Subject:
    """What others' Stories 110M step has on the engine: the layers and the gradient of their input."""
    x = aj.ShapeDtypeStruct((1, 256, 768), "float32")
    types = {k: aj.ShapeDtypeStruct(s, "float32") for k, s in _shapes(llama, x).items()}

    def step(params: Any, x: Any, ct: Any) -> Any:
        y, back = aj.vjp(lambda x: llama(lambda k, s: params[k], x, True), x)
        return y, back(ct)[0]

    return step, (types, x, x)


def _shapes(network: Network, x: Any) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}

    def get(name: str, shape: tuple[int, ...]) -> Any:
        found[name] = shape
        return jnp.zeros(shape)

    aj.eval_shape(lambda x: network(get, x, False), x)
    return found
