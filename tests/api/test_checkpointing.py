"""checkpoint with policies, named values and what is saved, against jax."""

from __future__ import annotations

import contextlib
import io

import jax
import jax.ad_checkpoint
import numpy as np
import pytest
from jax._src.ad_checkpoint import saved_residuals as residuals_of_jax

import anejax as aj
import anejax.numpy as jnp
from anejax import ad_checkpoint
from anejax.api.checkpointing import saved_residuals
from anejax.errors import AbsentError, RefusedError
from anejax.passes.inline import inline
from anejax.passes.simplify import simplify
from tests.numpy.compare import assert_close, sample

W, V, X = sample((4, 5)), sample((5, 3)), sample((2, 4))
B = sample((2, 4, 3))
POLICIES = {
    "none": lambda p: None,
    "all": lambda p: p.everything_saveable,
    "nothing": lambda p: p.nothing_saveable,
    "dots": lambda p: p.dots_saveable,
    "unmapped dots": lambda p: p.dots_with_no_batch_dims_saveable,
    "one name": lambda p: p.save_only_these_names("hidden"),
    "no such name": lambda p: p.save_only_these_names("other"),
    "other names": lambda p: p.save_any_names_but_these("hidden"),
    "both": lambda p: p.save_from_both_policies(p.save_only_these_names("hidden"), p.dots_with_no_batch_dims_saveable),
    "of the user": lambda p: lambda prim, *avals, **params: prim.name == "sin",
}


def network(m, inner=lambda f: f):
    """Products with weights, one that is mapped, a nested call, and two named values."""
    name = m.ad_checkpoint.checkpoint_name

    def f(w, v, x):
        hidden = name(m.numpy.sin(inner(lambda w, x: x @ w)(w, x)), "hidden")
        out = name({"out": m.numpy.tanh(hidden @ v)}, "out")["out"]
        return m.numpy.sin(m.numpy.einsum("ij,ikj->ik", out, B)).sum()

    return f


def count(graph, name):
    """Equations of a primitive in the program."""
    return sum(e.primitive.name == name for e in simplify(inline(graph)).eqns)


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("policy", POLICIES)
def test_policies(policy, nested):
    """The gradients, what is saved, and how often products are computed."""
    fs = []
    for m in (aj, jax):
        f = network(m, m.jit if nested else lambda f: f)
        fs.append(m.checkpoint(f, policy=POLICIES[policy](m.checkpoint_policies)))
    ours, theirs = fs
    for a, b in zip(aj.grad(ours, (0, 1, 2))(W, V, X), jax.grad(theirs, (0, 1, 2))(W, V, X)):
        assert_close(a, b, ulps=64, scale=16)
    for a, b in zip(aj.jit(aj.grad(ours, (0, 1, 2)))(W, V, X), aj.grad(network(aj), (0, 1, 2))(W, V, X)):
        assert_close(a, b, ulps=64, scale=16)
    if policy != "all":  # without the array that the function captured, which jax calls a constant or none
        shapes = lambda found: sorted(tuple(a.shape) for a, _ in found if a.shape != B.shape)  # noqa: E731
        assert shapes(saved_residuals(ours, W, V, X)) == shapes(residuals_of_jax(theirs, W, V, X))


@pytest.mark.parametrize(
    ("policy", "products", "sines"),
    [("nothing", 6, 3), ("dots", 3, 3), ("both", 4, 2), ("one name", 6, 2), ("of the user", 6, 2), ("all", 3, 2)],
)
def test_what_is_computed_again(policy, products, sines):
    """Forward has 3 products and 2 sines; backward 5 products, and what the policy does not keep."""
    f = aj.checkpoint(network(aj), policy=POLICIES[policy](aj.checkpoint_policies))
    graph = aj.make_jaxpr(aj.value_and_grad(f, (0, 1, 2)))(W, V, X).graph
    assert count(graph, "dot_general") - 5 == products
    assert count(graph, "sin") == sines


def test_names_are_identities():
    name = ad_checkpoint.checkpoint_name
    f = lambda x: name(name(x, "a") ** 2, "b")  # noqa: E731
    assert aj.jit(f)(3.0) == 9 and aj.grad(f)(3.0) == 6 and aj.grad(aj.grad(f))(3.0) == 2
    assert_close(aj.vmap(f)(X), X**2)
    assert_close(aj.jit(aj.vmap(aj.grad(f)))(X[0]), 2 * X[0])
    assert aj.linear_transpose(lambda x: name(3 * x, "c"), 1.0)(2.0)[0] == 6
    assert "checkpoint_name[name=a]" in str(aj.make_jaxpr(f)(1.0)).replace("'", "")
    assert "checkpoint_name" not in aj.jit(f).lower(X).as_text()


def test_policies_under_vmap_and_twice():
    policy = aj.checkpoint_policies.dots_saveable
    f = aj.checkpoint(network(aj), policy=policy)
    xs = sample((3, 2, 4), seed=4)
    got = aj.jit(aj.grad(lambda w: aj.vmap(lambda x: f(w, V, x))(xs).sum()))(W)
    want = jax.grad(lambda w: jax.vmap(lambda x: network(jax)(w, V, x))(xs).sum())(W)
    assert_close(got, want, ulps=128, scale=32)
    second = [m.grad(lambda w, m=m, g=g: (m.grad(lambda u: g(u, V, X))(w) ** 2).sum())(W)
              for m, g in ((aj, f), (jax, network(jax)))]  # fmt: skip
    assert_close(*second, ulps=512, scale=256)


def test_answers_of_policies():
    def f(answer):
        return aj.grad(aj.checkpoint(lambda x: aj.numpy.sin(aj.numpy.sin(x)), policy=lambda *a, **k: answer))(1.0)

    want = f(True)
    for answer in (True, False, ad_checkpoint.Saveable, ad_checkpoint.Recompute):
        assert_close(f(answer), want)
    with pytest.raises(TypeError, match=r"\[checkpoint\] expected the policy to answer with a bool"):
        f("yes")
    with pytest.raises(ValueError, match="expected the policy to be a function"):
        aj.checkpoint(abs, policy="dots")
    both = aj.checkpoint_policies.save_from_both_policies(lambda *a, **k: ad_checkpoint.Saveable, lambda *a, **k: True)
    with pytest.raises(ValueError, match="to answer with bools"):
        aj.grad(aj.checkpoint(aj.numpy.sin, policy=both))(1.0)
    for refused in ("offload_dot_with_no_batch_dims", "save_and_offload_only_these_names"):
        with pytest.raises(RefusedError, match=rf"\[{refused}\] there is one memory"):
            getattr(aj.checkpoint_policies, refused)("device", "pinned_host")
    with pytest.raises(AbsentError, match="one memory"):
        ad_checkpoint.Offloadable  # noqa: B018
    assert set(vars(aj.checkpoint_policies)) == set(vars(jax.checkpoint_policies))


def test_all_but_some_names():
    """jax's own policy of that name keeps everything."""
    f = aj.checkpoint(network(aj), policy=aj.checkpoint_policies.save_anything_except_these_names("hidden"))
    saved = [s for _, s in saved_residuals(f, W, V, X)]
    assert any("'out'" in s for s in saved) and not any("'hidden'" in s for s in saved)


def test_print_saved_residuals():
    def lines(m, **options):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            f = m.checkpoint(network(m), policy=m.checkpoint_policies.save_only_these_names("hidden"))
            m.ad_checkpoint.print_saved_residuals(f, W, V, X)
        return [line for line in out.getvalue().splitlines() if "constant" not in line]

    ours = lines(aj)
    assert "f32[4,5] from the argument w" in ours and "f32[2,4] from the argument x" in ours
    assert any(line.startswith("f32[2,5] named 'hidden' from ") for line in ours)
    plain = saved_residuals(lambda p: np.float32(2) * aj.numpy.sin(p["a"]) * p["b"], {"a": X, "b": X})
    assert {s.split(" from ")[0] for _, s in plain} >= {"output of cos"}
    assert any(s == "from the argument p['b']" for _, s in plain)


BODIES = {
    "scan": lambda x, c: aj.lax.scan(lambda s, r: (s * c, jnp.sin(c)), x, jnp.arange(3.0))[1].sum(0) + x,
    "map": lambda x, c: aj.lax.map(lambda r: c * jnp.sin(r), jnp.stack([x, c])).sum(0),
    "map of a const": lambda x, c: aj.lax.map(lambda r: c, jnp.stack([x, c])).sum(0),
    "cond": lambda x, c: aj.lax.cond(c[0] > 0, lambda: c * (c @ c), lambda: x) * x,
    "unchanged": lambda x, c: c,
}


@pytest.mark.parametrize("policy", ["dots_saveable", "everything_saveable", "nothing_saveable"])
@pytest.mark.parametrize("body", BODIES)
def test_policies_around_loops_and_branches(body, policy):
    """Their derivatives have results that are known and others that are not."""
    x, c = np.array([0.5, -1.0, 2.0], np.float32), np.array([0.3, 0.7, -0.2], np.float32)
    f = BODIES[body]
    saving = lambda x, c: aj.checkpoint(f, policy=getattr(aj.checkpoint_policies, policy))(x, c)  # noqa: E731

    def both(f):
        def run(x, c):
            y, back = aj.vjp(f, x, c)
            return y, back(jnp.cos(y)), aj.hessian(lambda x, c: f(x, c).sum(), (0, 1))(x, c)

        return run

    for run in (both(saving), aj.jit(both(saving))):
        for ours, expected in zip(aj.tree.leaves(run(x, c)), aj.tree.leaves(both(f)(x, c)), strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)
