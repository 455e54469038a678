"""Networks that both kinds of packages are tried with: (function of parameters and inputs, parameters, inputs)."""

from __future__ import annotations

from typing import Any

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.models.chars import CharLSTM
from anejax.models.llama import Config, Llama

RNG = np.random.default_rng(0)
STORIES = Config(features=16, hidden=44, layers=2, heads=4, kv_heads=2, vocabulary=31, length=24, shared=True)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def _convolved(x: Any, w: Any, stride: int = 1) -> Any:
    return lax.conv_general_dilated(x, w, (stride, stride), "SAME")


def unet(params: Any, x: Any) -> Any:
    """Two levels, of odd sizes that halving rounds up; what comes up is cut to what went down."""
    down = nn.relu(_convolved(x, params["first"]))
    deep = nn.relu(_convolved(down, params["second"], 2))
    deep = nn.gelu(_convolved(deep, params["third"], 2))
    for name in ("up", "last"):
        deep = lax.conv_transpose(deep, params[name], (2, 2), "SAME", dimension_numbers=("NCHW", "OIHW", "NCHW"))
    deep = deep[:, :, : x.shape[2], : x.shape[3]]
    return _convolved(jnp.concatenate([deep, down], 1), params["out"])


UNET = {"first": normal(4, 3, 3, 3) / 5, "second": normal(6, 4, 3, 3) / 6, "third": normal(8, 6, 3, 3) / 7,
        "up": normal(6, 8, 2, 2) / 5, "last": normal(4, 6, 2, 2) / 5, "out": normal(2, 8, 1, 1) / 3}  # fmt: skip


def vit(params: Any, image: Any) -> Any:
    """Patches of 4, a class token, positions, one block with 2 heads."""
    x = _convolved(image, params["patch"], 4)
    x = jnp.transpose(x.reshape(*x.shape[:2], -1), (0, 2, 1))
    n, _, d = x.shape
    x = jnp.concatenate([jnp.broadcast_to(params["token"], (n, 1, d)), x], 1) + params["places"]
    y = nn.standardize(x)
    q, k, v = (jnp.transpose(p.reshape(n, -1, 2, d // 2), (0, 2, 1, 3)) for p in jnp.split(y @ params["qkv"], 3, -1))
    weights = nn.softmax(q @ jnp.swapaxes(k, -1, -2) / np.float32(np.sqrt(d // 2)), -1)
    x = x + jnp.transpose(weights @ v, (0, 2, 1, 3)).reshape(n, -1, d) @ params["out"]
    return nn.standardize(x + nn.gelu(nn.standardize(x) @ params["up"]) @ params["down"])[:, 0] @ params["head"]


VIT = {"patch": normal(8, 3, 4, 4) / 7, "token": normal(8), "places": normal(13, 8), "qkv": normal(8, 24) / 3,
       "out": normal(8, 8) / 3, "up": normal(8, 20) / 3, "down": normal(20, 8) / 4, "head": normal(8, 5)}  # fmt: skip

_chars = CharLSTM(11, 6, 2)
_tokens = RNG.integers(0, 11, (2, 9)).astype(np.int32)
_chars_params, _ = _chars.init(aj.random.key(0), _tokens)

MODELS: dict[str, tuple[Any, Any, tuple[Any, ...]]] = {
    "U-Net": (unet, UNET, (normal(1, 3, 13, 11),)),
    "ViT": (vit, VIT, (normal(2, 3, 16, 12),)),
    "LSTM": (lambda p, x: _chars.apply(p, (), x)[0], _chars_params, (_tokens,)),
}


def stories() -> tuple[Any, Any]:
    """A model of stories and its parameters."""
    model = Llama(STORIES)
    params, _ = model.init(aj.random.key(1), aj.ShapeDtypeStruct((1, 1), "int32"))
    return model, aj.tree.map(lambda w: w * 10, params)  # so that logits differ
