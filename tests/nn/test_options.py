"""What layers are asked for beyond their input: masks, memories, lengths, ceil_mode; how they print and pickle."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import anejax as aj
from anejax import nn, random, tree
from anejax.errors import ShapeError
from tests.nn.table import TABLE

KEY = random.key(0)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 8)).astype(np.float32)
MEMORY = RNG.normal(size=(2, 7, 6)).astype(np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(p, x, memory, heads, mask):
    """Attention in float64; ``mask`` is [N, heads, T, S]."""
    split = lambda y: y.reshape((*y.shape[:2], heads, -1)).swapaxes(1, 2)  # noqa: E731
    w = {n: np.asarray(v, np.float64) for n, v in p.items()}
    project = lambda n, y: y @ w[n] + w.get(f"b{n}", 0)  # noqa: E731
    q, k, v = split(project("q", x)), split(project("k", memory)), split(project("v", memory))
    scores = np.where(mask, q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    y = (softmax(scores) @ v).swapaxes(1, 2).reshape((*x.shape[:2], -1))
    return project("o", y)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("form", ["[N, S]", "[N, T, S]", "[N, heads, T, S]", "none"])
def test_attention_to_a_memory_under_a_mask(bias: bool, form: str) -> None:
    layer = nn.MultiHeadAttention(2, bias=bias)
    params, state = layer.init(KEY, X, MEMORY)
    params = tree.map(lambda w: w + np.float32(0.1), params)
    mask = RNG.random((2, 2, 5, 7)) < 0.6
    mask[..., 0] = True
    given = {"[N, S]": mask[:, 0, 0], "[N, T, S]": mask[:, 0], "[N, heads, T, S]": mask, "none": None}[form]
    wide = {"[N, S]": mask[:, :1, :1], "[N, T, S]": mask[:, :1], "[N, heads, T, S]": mask, "none": True}[form]
    y, _ = layer.apply(params, state, X, memory=MEMORY, mask=given)
    np.testing.assert_allclose(y, attend(params, X, MEMORY, 2, wide), rtol=2e-5, atol=2e-6)


def test_a_mask_joins_causality_and_a_cache() -> None:
    layer = nn.MultiHeadAttention(2, causal=True)
    params, state = layer.init(KEY, X)
    seen = np.array([[1, 1, 0, 1, 1], [1, 0, 1, 1, 0]], bool)
    expected = attend(params, X, X, 2, seen[:, None, None] & np.tril(np.ones((5, 5), bool)))
    np.testing.assert_allclose(layer.apply(params, state, X, mask=seen)[0], expected, rtol=2e-5, atol=2e-6)
    cache, ys = layer.cache(params, 2, 5), []
    for part in (X[:, :3], X[:, 3:]):
        y, cache = layer.apply(params, cache, part, mask=seen)
        ys.append(np.asarray(y))
    np.testing.assert_allclose(np.concatenate(ys, 1), expected, rtol=2e-5, atol=2e-6)


def test_attention_refuses_what_makes_no_sense() -> None:
    layer = nn.MultiHeadAttention(2, causal=True)
    params, _ = layer.init(KEY, X)
    with pytest.raises(ValueError, match="without causal"):
        layer.apply(params, (), X, memory=X)
    for mask in (np.ones(5, bool), np.ones((2, 5), np.float32)):
        with pytest.raises(ShapeError, match=r"expected a mask bool\[N, S\]"):
            layer.apply(params, (), X, mask=mask)


def test_a_block_of_a_decoder_attends_to_its_memory() -> None:
    block = nn.TransformerBlock(2, 12, causal=True, cross=True, dropout=0.5)
    params, state = block.init(KEY, X, MEMORY)
    assert sorted(params) == ["attention", "attention_norm", "cross", "cross_norm", "down", "mlp_norm", "up"]
    y, _ = block.apply(params, state, X, memory=MEMORY)
    seen = np.arange(7) < 4
    masked, _ = block.apply(params, state, X, memory=MEMORY, memory_mask=np.stack([seen, seen]))
    short, _ = block.apply(params, state, X, memory=MEMORY[:, :4])
    np.testing.assert_allclose(masked, short, rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(y) - masked).max() > 1e-3
    dropped, _ = block.apply(params, state, X, memory=MEMORY, key=KEY, train=True)
    assert np.abs(np.asarray(y) - dropped).max() > 1e-2
    cache, ys = block.cache(params, 2, 5), []
    for part in (X[:, :2], X[:, 2:]):
        out, cache = block.apply(params, cache, part, memory=MEMORY)
        ys.append(np.asarray(out))
    np.testing.assert_allclose(np.concatenate(ys, 1), y, rtol=2e-5, atol=2e-5)
    with pytest.raises(ValueError, match="expected a memory, since cross=True"):
        block.apply(params, state, X)


@pytest.mark.parametrize("layer", [nn.RNN(3), nn.LSTM(3), nn.GRU(3, reverse=True), nn.Bidirectional(nn.LSTM(3))])
def test_sequences_end_where_their_lengths_say(layer: Any) -> None:
    """Each sequence gives what it gives alone, cut to its length, and 0 behind."""
    params, state = layer.init(KEY, X)
    lengths = np.array([5, 2], np.int32)
    got = np.asarray(layer.apply(params, state, X, lengths=lengths)[0])
    for i, n in enumerate(lengths):
        alone = np.asarray(layer.apply(params, state, X[i : i + 1, :n])[0])
        np.testing.assert_allclose(got[i : i + 1, :n], alone, rtol=1e-5, atol=1e-6)
        assert not got[i, n:].any()
    with pytest.raises(ShapeError, match=r"expected lengths \[2\]"):
        layer.apply(params, state, X, lengths=np.zeros(3, np.int32))


def test_a_state_is_that_of_the_last_step() -> None:
    layer = nn.LSTM(3, stateful=True)
    params, state = layer.init(KEY, X)
    _, after = layer.apply(params, state, X, lengths=np.array([5, 2]))
    _, short = layer.apply(params, state, X[:, :2])
    for held, expected in zip(tree.leaves(after), tree.leaves(short), strict=True):
        np.testing.assert_allclose(held[1], expected[1], rtol=1e-6)
    with pytest.raises(ValueError, match="neither stateful nor reversed"):
        nn.Bidirectional(layer).init(KEY, X)


def pooled(x, window, stride, pad, mean, include):
    """ceil_mode of PyTorch along one axis, window by window."""
    padded = np.concatenate([np.full(pad, np.nan), x, np.full(pad, np.nan)])
    count = -(-(len(padded) - window) // stride) + 1
    count -= (count - 1) * stride >= len(x) + pad
    parts = [padded[i * stride : i * stride + window] for i in range(count)]
    if not mean:
        return [np.nanmax(p) for p in parts]
    return [np.nansum(p) / (len(p) if include else np.isfinite(p).sum()) for p in parts]


@pytest.mark.parametrize(("size", "window", "stride", "pad"), [(9, 2, 2, 0), (9, 3, 2, 1), (8, 3, 3, 1), (5, 2, 3, 0)])
def test_pooling_keeps_the_last_window(size: int, window: int, stride: int, pad: int) -> None:
    x = RNG.normal(size=(1, 1, size)).astype(np.float32)
    options = {"stride": stride, "padding": pad, "ceil_mode": True}
    layers = [
        (nn.MaxPool(window, **options), False, True),
        (nn.AvgPool(window, **options), True, True),
        (nn.AvgPool(window, count_include_pad=False, **options), True, False),
    ]
    for layer, mean, include in layers:
        y = np.asarray(layer.apply((), (), x)[0])[0, 0]
        np.testing.assert_allclose(y, pooled(x[0, 0], window, stride, pad, mean, include), rtol=1e-6)
    with pytest.raises(ValueError, match="with ceil_mode"):
        nn.MaxPool(2, padding="SAME", ceil_mode=True).apply((), (), x)


@pytest.mark.parametrize("name", [name for name in TABLE if not name.startswith("Lambda")])
def test_every_layer_pickles_and_prints_as_it_is_made(name: str) -> None:
    layer = TABLE[name].layer
    again = pickle.loads(pickle.dumps(layer))
    assert again == layer and vars(again) == vars(layer)
    text = repr(layer)
    assert "object at" not in text
    if "<function" not in text:
        assert eval(text, vars(nn) | vars(nn.initializers)) == layer


def test_what_is_printed_is_short() -> None:
    assert repr(nn.Linear(3)) == "Linear(features=3)"
    assert (
        repr(nn.Linear(3, weight_init=nn.initializers.normal(0.02))) == "Linear(features=3, weight_init=normal(0.02))"
    )
    net = nn.Sequential(nn.Linear(4), nn.ReLU(), nn.Residual(nn.Linear(4)))
    assert repr(net) == "Sequential(\n    Linear(features=4),\n    ReLU(),\n    Residual(main=Linear(features=4)),\n)"


@pytest.mark.parametrize("layer", [nn.Linear(2), nn.Sequential(nn.ReLU())])
def test_a_call_says_to_use_apply(layer: nn.Layer) -> None:
    with pytest.raises(TypeError, match=r"cannot be called. Write `params, state = net.init\(key, x\)`, then .*apply"):
        layer(X)


def test_a_summary_counts_parameters_and_products() -> None:
    net = nn.Sequential(nn.Scope("first", nn.Conv2D(6, 3)), nn.ReLU(), nn.Flatten(), nn.Linear(5))
    found = nn.summary(net, aj.ShapeDtypeStruct((2, 3, 4, 4), "float32"))
    assert [(r.path, r.depth, r.output, r.parameters, r.flops) for r in found.rows] == [
        ("", 0, "float32[2,5]", 653, 2 * (2 * 6 * 16 * 27 + 2 * 5 * 96)),
        ("first", 1, "float32[2,6,4,4]", 168, 2 * 2 * 6 * 16 * 27),
        ("1", 1, "float32[2,6,4,4]", 0, 0),
        ("2", 1, "float32[2,96]", 0, 0),
        ("3", 1, "float32[2,5]", 485, 2 * 2 * 5 * 96),
    ]
    lines = str(found).splitlines()
    assert lines[3].startswith("  first (Conv2D)") and lines[-1].split() == ["all", "653", "12,288"]
    lstm = nn.summary(nn.LSTM(4), aj.ShapeDtypeStruct((2, 5, 3), "float32"))
    assert lstm.flops == 2 * 2 * 5 * (3 + 4) * 16


def test_masks_and_lengths_are_keywords() -> None:
    assert inspect.signature(nn.TransformerBlock.apply).parameters.keys() >= {"mask", "memory", "memory_mask"}
