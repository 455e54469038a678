"""The network against jax, its cache against whole sequences, and the real Stories260K."""
# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalOperand=false

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import ShapeDtypeStruct, nn, optim, random
from anejax.errors import ShapeError
from anejax.models import llama
from anejax.models.llama import SIZES, Config, Llama
from benchmarks import llama_jax
from tests.answers import of_jax

CONFIGS = {
    "shared": Config(16, 24, 2, 4, 4, 37, 16),
    "separate": Config(16, 24, 2, 4, 4, 37, 16, shared=False),
    "grouped": Config(24, 7, 3, 6, 2, 37, 16),
    "one": Config(2, 1, 1, 1, 1, 1, 1),
}
EPS = np.finfo(np.float32).eps


def make(config: Config, length: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, config.vocabulary, (3, length + 1)).astype(np.int32)
    model = Llama(config)
    params, state = model.init(random.key(seed), tokens)
    params = aj.tree.map(lambda w: w + 0.3 * rng.standard_normal(w.shape).astype(np.float32), params)
    return model, params, state, tokens[:, :-1], tokens[:, 1:]


def loss_of(model, state, tokens, targets):
    def loss(params):
        logits, _ = model.apply(params, state, tokens)
        return jnp.mean(optim.softmax_cross_entropy_with_integer_labels(logits, targets))

    return loss


@pytest.mark.parametrize("name", CONFIGS)
def test_values_and_gradients_are_jaxs(name):
    config = CONFIGS[name]
    model, params, state, tokens, targets = make(config, min(11, config.length))
    theirs = jax.tree.map(np.asarray, params)
    logits = lambda config, *args: jax.jit(partial(llama_jax.logits, config))(*args)  # noqa: E731
    expected = np.asarray(of_jax(logits, config, theirs, tokens)[0])
    got = aj.jit(model.apply)(params, state, tokens)[0]
    np.testing.assert_allclose(got, expected, atol=64 * EPS * max(1, np.abs(expected).max()), rtol=0)
    value, grads = aj.jit(aj.value_and_grad(loss_of(model, state, tokens, targets)))(params)
    step = lambda config, *args: jax.jit(jax.value_and_grad(partial(llama_jax.loss, config)))(*args)  # noqa: E731
    expected_value, *expected_grads = of_jax(step, config, theirs, tokens, targets)
    np.testing.assert_allclose(value, expected_value, rtol=16 * EPS, atol=16 * EPS)
    for g, e in zip(aj.tree.leaves(grads), expected_grads, strict=True):
        np.testing.assert_allclose(g, e, rtol=0, atol=256 * EPS * max(1, np.abs(e).max()))


def test_remat_gives_the_same_gradients():
    model, params, state, tokens, targets = make(CONFIGS["grouped"], 9)
    plain, remat = (
        aj.jit(aj.grad(loss_of(m, state, tokens, targets)))(params) for m in (model, Llama(model.config, remat=True))
    )
    for a, b in zip(aj.tree.leaves(plain), aj.tree.leaves(remat), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=64 * EPS * max(1, np.abs(a).max()))


@pytest.mark.parametrize("name", ["shared", "grouped"])
@pytest.mark.parametrize("parts", [[1] * 16, [5, 1, 10], [16]])
def test_a_cache_gives_what_whole_sequences_give(name, parts):
    model, params, state, tokens, _ = make(CONFIGS[name], 16)
    expected = np.asarray(aj.jit(model.apply)(params, state, tokens)[0])
    cache, got = model.cache(params, 3), []
    apply = aj.jit(model.apply, donate_argnums=1)
    for part in np.split(tokens, np.cumsum(parts)[:-1], axis=1):
        logits, cache = apply(params, cache, part)
        got.append(np.asarray(logits))
    np.testing.assert_allclose(np.concatenate(got, 1), expected, rtol=0, atol=64 * EPS * np.abs(expected).max())


@pytest.mark.parametrize(
    ("size", "file_bytes"), [("260K", 1_056_540), ("15M", 60_816_028), ("42M", 167_020_572), ("110M", 438_381_596)]
)
def test_the_family(size, file_bytes):
    """As many numbers as llama2.c's files hold, besides the header and the rotary tables."""
    model, c = Llama(SIZES[size]), SIZES[size]
    params = aj.eval_shape(lambda: model.init(random.key(0), ShapeDtypeStruct((1, 2), "int32"))[0])
    tables = c.length * c.features // c.heads
    assert 28 + 4 * (nn.count_parameters(params) + tables) == file_bytes


def test_weights_begin_small_where_they_add_to_the_stream():
    params, _ = Llama(SIZES["260K"]).init(random.key(0), ShapeDtypeStruct((1, 2), "int32"))
    attention, mlp = params["blocks"][0][0]["main"][1], params["blocks"][0][1]["main"][1]
    for w, deviation in [(attention["q"], 0.02), (attention["o"], 0.02 / 10**0.5), (mlp["down"], 0.02 / 10**0.5)]:
        assert np.std(w) == pytest.approx(deviation, rel=0.05)


@pytest.mark.parametrize(
    "sizes",
    [
        (0, 8, 1, 1, 1, 5, 4),
        (8, 8, 1, 3, 1, 5, 4),
        (8, 8, 1, 8, 8, 5, 4),
        (8, 8, 1, 4, 3, 5, 4),
        (8, 8, -1, 1, 1, 5, 4),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ShapeError, match=r"\[llama\] expected"):
        Config(*sizes)


def test_the_page_counts_the_lines_of_the_network():
    """Without blank lines, docstrings, imports and the table of sizes."""
    source = Path(llama.__file__).read_text()
    nodes = [node for node in ast.parse(source).body if getattr(node, "name", "Config") != "Config"]
    inside = [n for node in nodes for n in ast.walk(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    docs = {i for n in inside if ast.get_docstring(n) for i in range(n.body[0].lineno, n.body[0].end_lineno + 1)}
    begin = lambda node: min([node.lineno, *(d.lineno for d in node.decorator_list)])  # noqa: E731
    own = {i for node in nodes for i in range(begin(node), node.end_lineno + 1)} - docs
    count = sum(1 for i in own if source.splitlines()[i - 1].strip())
    page = (Path(__file__).parents[2] / "docs" / "stories.md").read_text()
    assert f"The network is {count} lines of code" in page
