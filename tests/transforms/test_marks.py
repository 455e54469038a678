"""Marks: each equation says which layers, which part of a derivative and which line it comes from, through every
transformation, pass and lowering."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import ShapeDtypeStruct, lax, nn, optim, random
from anejax.core.graph import Eqn, Graph, subgraphs
from anejax.lower.to_mil import lower
from anejax.marks import BACKWARD, FORWARD, TANGENT, UPDATE, Mark
from anejax.mil.parse import parse
from anejax.mil.program import Op, same_program
from anejax.mil.text import to_text
from anejax.models import llama
from anejax.passes.pipeline import optimize
from anejax.runtime import library
from anejax.train import language

X = jnp.arange(4.0)


def graph_of(fun: Callable[..., Any], *args: Any) -> Graph:
    return optimize(aj.make_jaxpr(fun)(*args).graph)


def flat(graph: Graph, outer: Mark = Mark()) -> list[Eqn]:  # noqa: B008
    """All equations, those of Graphs inside included, with whole marks."""
    found = []
    for eqn in graph.eqns:
        eqn = eqn.replace(mark=eqn.mark.within(outer))
        inner = list(subgraphs(eqn.params))
        found += [e for g in inner for e in flat(g, eqn.mark)] if inner else [eqn]
    return found


def marks(fun: Callable[..., Any], *args: Any, name: str) -> list[tuple[str, str]]:
    """(path, part) of each equation of the primitive ``name``."""
    return [(e.mark.path, e.mark.part) for e in flat(graph_of(fun, *args)) if e.primitive.name == name]


def net(x: Any) -> Any:
    with aj.named_scope("a"):
        x = jnp.sin(x)
        with aj.named_scope("b"):
            return jnp.exp(x) * 2


def loss(x: Any) -> Any:
    return net(x).sum()


def test_scopes_are_joined_and_left() -> None:
    def f(x: Any) -> Any:
        return jnp.cos(net(x))

    assert marks(f, X, name="sin") == [("a", FORWARD)]
    assert marks(f, X, name="exp") == [("a/b", FORWARD)]
    assert marks(f, X, name="cos") == [("", FORWARD)]


def test_a_scope_is_left_by_an_exception_and_decorates_a_recursive_function() -> None:
    @aj.named_scope("deep")
    def deep(x: Any, n: int) -> Any:
        return deep(jnp.sin(x), n - 1) if n else x

    with pytest.raises(ZeroDivisionError), aj.named_scope("lost"):
        raise ZeroDivisionError
    assert marks(lambda x: deep(x, 2), X, name="sin") == [("deep", FORWARD), ("deep/deep", FORWARD)]
    with pytest.raises(TypeError, match="expected a string"):
        aj.named_scope(3)  # type: ignore[arg-type]
    assert marks(aj.named_call(jnp.sin, name="wave"), X, name="sin") == [("wave", FORWARD)]


WRAPPED: dict[str, Callable[[Any], Any]] = {
    "jit": aj.jit(net),
    "vmap": lambda x: aj.vmap(net)(jnp.stack([x, x])),
    "checkpoint": aj.checkpoint(net),
    "scan": lambda x: lax.scan(lambda c, _: (net(c), None), x, None, length=3)[0],
    "while": lambda x: lax.while_loop(lambda c: c[0] < 9, net, x),
    "cond": lambda x: lax.cond(x[0] > 0, net, jnp.negative, x),
    "map": lambda x: lax.map(net, x),
    "jit of vmap of scan": aj.jit(lambda x: aj.vmap(WRAPPED["scan"])(jnp.stack([x, x]))),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_marks_inside(name: str) -> None:
    def f(x: Any) -> Any:
        with aj.named_scope("outer"):
            return WRAPPED[name](x)

    assert set(marks(f, X, name="sin")) == {("outer/a", FORWARD)}
    assert set(marks(f, X, name="exp")) == {("outer/a/b", FORWARD)}


@pytest.mark.parametrize("name", [n for n in WRAPPED if n != "while"])
def test_marks_of_a_gradient(name: str) -> None:
    def f(x: Any) -> Any:
        with aj.named_scope("outer"):
            return WRAPPED[name](x).sum()

    found = {(e.primitive.name, e.mark.path, e.mark.part) for e in flat(graph_of(aj.value_and_grad(f), X))}
    assert ("sin", "outer/a", FORWARD) in found
    assert ("mul", "outer/a", BACKWARD) in found  # of cos(x) and the cotangent
    assert ("mul", "outer/a/b", BACKWARD) in found
    assert not any("outer/outer" in path or "a/a" in path for _, path, _ in found)
    assert {path for op, path, part in found if part != FORWARD and op in ("sin", "cos", "exp")} <= {
        "outer/a",
        "outer/a/b",
    }


def test_a_gradient_taken_inside_a_scope_has_it_once() -> None:
    def f(x: Any) -> Any:
        with aj.named_scope("step"):
            return aj.grad(loss)(x)

    assert set(marks(f, X, name="cos")) == {("step/a", TANGENT)}
    assert ("step/a", BACKWARD) in marks(f, X, name="mul")


def test_parts_of_forward_mode() -> None:
    f = lambda x: aj.jvp(lambda x: jnp.sin(x) * x, (x,), (x,))  # noqa: E731
    assert marks(f, X, name="sin") == [("", FORWARD)]
    assert marks(f, X, name="cos") == [("", TANGENT)]
    assert sorted(part for _, part in marks(f, X, name="mul")) == [FORWARD, TANGENT, TANGENT, TANGENT]
    second = [part for _, part in marks(aj.grad(lambda x: aj.grad(loss)(x).sum()), X, name="mul")]
    assert set(second) <= {BACKWARD, TANGENT} and BACKWARD in second


@pytest.mark.parametrize("mode", ["jvp", "vjp"])
def test_custom_rules_have_the_scope_of_the_call_and_lines_of_their_own(mode: str) -> None:
    if mode == "jvp":
        f = aj.custom_jvp(jnp.sin)
        f.defjvp(lambda primals, tangents: (jnp.sin(*primals), jnp.tan(primals[0]) * tangents[0]))
    else:
        f = aj.custom_vjp(jnp.sin)
        f.defvjp(lambda x: (jnp.sin(x), x), lambda x, ct: (jnp.tan(x) * ct,))

    def g(x: Any) -> Any:
        with aj.named_scope("custom"):
            return aj.jit(f)(x).sum()

    (rule,) = [e for e in flat(graph_of(aj.jit(aj.grad(g)), X)) if e.primitive.name == "tan"]
    assert rule.mark.path == "custom"
    assert rule.mark.part == (BACKWARD if mode == "vjp" else FORWARD)
    assert rule.source is not None and "(<lambda>)" in rule.source
    weighed = lambda x: g(x) * jnp.exp(x[0])  # noqa: E731
    assert ("custom", BACKWARD) in marks(aj.grad(weighed), X, name="mul")


def test_lines_survive_jit_derivatives_and_passes() -> None:
    lines, start = inspect.getsourcelines(loss)
    of_net, first = inspect.getsourcelines(net)
    sine = first + next(i for i, line in enumerate(of_net) if "jnp.sin" in line)
    total = start + next(i for i, line in enumerate(lines) if ".sum()" in line)
    found = {(e.primitive.name, e.source) for e in flat(graph_of(aj.value_and_grad(aj.jit(loss)), X))}
    assert ("cos", f"{__file__}:{sine} (net)") in found
    assert ("reduce_sum", f"{__file__}:{total} (loss)") in found
    assert all(line is not None for _, line in found)


# --- layers ---------------------------------------------------------------------------------------------------------


class Block(nn.Layer):
    """A layer of a user's, with layers in a field, a list and a dict."""

    def __init__(self) -> None:
        self.first = nn.Linear(3)
        self.rest = [nn.Linear(3), nn.Linear(3)]
        self.named = {"last": nn.Linear(3)}

    def layers(self) -> list[nn.Layer]:
        return [self.first, *self.rest, self.named["last"], nn.Linear(3)]

    def init(self, key: Any, x: Any) -> tuple[Any, Any]:
        return [layer.init(key, x)[0] for layer in self.layers()], ()

    def apply(self, params: Any, state: Any, x: Any, **kwargs: Any) -> tuple[Any, Any]:
        for layer, p in zip(self.layers(), params, strict=True):
            x, _ = layer.apply(p, (), x, **kwargs)
        return x, ()


def layer_paths(layer: nn.Layer, x: Any) -> list[str]:
    params, state = layer.init(random.key(0), x)
    return [p for p, _ in marks(lambda p, x: layer.apply(p, state, x)[0], params, x, name="dot_general")]


def test_layers_mark_what_they_trace() -> None:
    x = jnp.ones((2, 3))
    assert layer_paths(Block(), x) == [
        "Block/first",
        "Block/rest/0",
        "Block/rest/1",
        "Block/named/last",
        "Block/Linear",
    ]
    assert layer_paths(nn.Linear(2), x) == ["Linear"]
    same = nn.Linear(3)
    assert layer_paths(nn.Sequential(same, nn.ReLU(), same), x) == ["0", "2"]
    shortcut = nn.Residual(nn.Scope("wide", nn.Linear(3)), nn.Linear(3))
    assert layer_paths(nn.Sequential(nn.Residual(nn.Linear(3)), shortcut), x) == ["0", "1/wide", "1/shortcut"]
    assert layer_paths(nn.Sequential(nn.Remat(nn.Sequential(nn.Linear(3)))), x) == ["0/0"]


@pytest.mark.parametrize("remat", [False, True])
def test_a_training_step_is_marked_throughout(remat: bool) -> None:
    config = llama.Config(16, 24, 2, 2, 1, 30, 8)
    model = llama.Llama(config, remat)
    params, _ = model.init(random.key(0), ShapeDtypeStruct((1, 4), "int32"))
    optimizer = optim.adamw(1e-3)
    state, tokens = language.TrainState(params, optimizer.init(params)), jnp.zeros((2, 4), jnp.int32)
    eqns = flat(optimize(language.train_step(model, optimizer).trace(state, tokens, tokens).graph))
    products = {(e.mark.path, e.mark.part) for e in eqns if e.primitive.name == "dot_general"}
    weights = [*(f"attention/{w}" for w in "qkvo"), *(f"mlp/{w}" for w in ("gate", "up", "down")), "attention"]
    layers = {f"blocks/{i}/{w}" for i in range(2) for w in weights} | {"classifier"}
    assert products == {(path, part) for path in layers for part in (FORWARD, BACKWARD)}
    assert {e.mark.path for e in eqns if e.primitive.name == "sqrt"} == {""}
    assert {e.mark.part for e in eqns if e.primitive.name == "sqrt"} == {UPDATE}
    assert all(e.source and "anejax/nn" not in e.source for e in eqns)


def test_an_update_is_what_follows_from_gradients() -> None:
    def step(w: Any, m: Any) -> Any:
        value, g = aj.value_and_grad(loss)(w)
        m = jnp.tanh(m) + g
        return w - 0.1 * m, m, jnp.log(value)

    assert marks(step, X, X, name="sub") == [("", UPDATE)]
    assert marks(step, X, X, name="tanh") == [("", UPDATE)]
    assert marks(step, X, X, name="log") == [("", FORWARD)]
    penalty = lambda x: jnp.tanh(aj.grad(loss)(x)).sum()  # noqa: E731
    assert marks(penalty, X, name="tanh") == [("", UPDATE)]
    assert marks(aj.value_and_grad(penalty), X, name="tanh") == [("", FORWARD)]  # it is differentiated


# --- below the Graph ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["cpu", "coreml", "ane"])
def test_operations_keep_marks(target: str) -> None:
    program = lower(optimize(aj.make_jaxpr(aj.grad(loss))(X).graph, target), target)
    found: dict[str, Op] = {op.name: op for op in program.main.ops}
    assert (found["exp"].mark.path, found["exp"].mark.part) == ("a/b", FORWARD)
    assert {op.mark.part for op in program.main.ops if op.mark.path == "a"} >= {FORWARD, BACKWARD}
    text = to_text(program, marks=True)
    assert '[name = string("a_b_exp")]' in text
    assert "a_b_exp" not in to_text(program)
    library.verify(text, target)
    assert same_program(parse(text), program)


def test_bodies_of_loops_have_whole_marks() -> None:
    def f(x: Any) -> Any:
        with aj.named_scope("outer"):
            return lax.scan(lambda c, _: (net(c), None), x, None, length=3)[0]

    program = lower(optimize(aj.make_jaxpr(f)(X).graph))
    assert [op.mark.path for fn in program.functions for op in fn.ops if op.name == "sin"] == ["outer/a"]


def test_equal_programs_are_compiled_once_wherever_they_come_from() -> None:
    before = aj.runtime.execute.compile_count()

    def f(name: str) -> Any:
        def scoped(x: Any) -> Any:
            with aj.named_scope(name):
                return jnp.sin(x) * 123.25

        return aj.jit(scoped)

    for name in ("one", "two"):
        f(name)(X)
    assert aj.runtime.execute.compile_count() == before + 1
    assert "two_sin" in f("two").lower(X).as_text(debug_info=True)
    assert "two, forward, at " in f("two").lower(X).as_text("graph", debug_info=True)


def test_errors_name_layers_and_lines() -> None:
    @aj.named_scope("square")
    def f(x: Any) -> Any:
        return jnp.sin(x)

    with pytest.raises(aj.errors.RefusedError, match=rf"\(it is of square \(tangent\) at {__file__}:\d+ \(f\)\)"):
        aj.linear_transpose(f, X)(X)


def test_equal_marks_are_one_object() -> None:
    """A Graph of many equations keeps few marks."""
    (one, other) = [e.mark for e in aj.make_jaxpr(lambda x: jnp.exp(jnp.sin(x)))(X).eqns]
    assert one is other and one.of_part(BACKWARD) is other.of_part(BACKWARD)
