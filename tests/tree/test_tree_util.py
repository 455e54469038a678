"""anejax.tree and anejax.tree_util against jax's."""

from __future__ import annotations

import collections
import dataclasses
import functools
import operator
import pickle
import time

import jax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import anejax as aj
from anejax import tree_util
from anejax.errors import TreeError

Point = collections.namedtuple("Point", "x y")

leaf = st.integers(0, 9)
key = st.sampled_from("abcd")
trees = st.recursive(
    leaf | st.none(),
    lambda t: (
        st.lists(t, max_size=3)
        | st.lists(t, max_size=3).map(tuple)
        | st.dictionaries(key, t, max_size=3)
        | st.builds(Point, t, t)
        | st.dictionaries(key, t, max_size=2).map(collections.OrderedDict)
        | st.dictionaries(key, t, max_size=3).map(lambda d: collections.defaultdict(int, d))
    ),
    max_leaves=8,
)


@given(trees)
def test_flatten_as_jax(t):
    leaves, treedef = aj.tree.flatten(t)
    expected, expected_def = jax.tree.flatten(t)
    assert leaves == expected
    assert treedef.num_leaves == expected_def.num_leaves
    assert aj.tree.unflatten(treedef, leaves) == t
    assert repr(aj.tree.unflatten(treedef, leaves)) == repr(jax.tree.unflatten(expected_def, expected))
    assert repr(aj.tree.map(lambda x: x + 1, t)) == repr(jax.tree.map(lambda x: x + 1, t))
    assert aj.tree.leaves(t) == expected
    assert aj.tree.all(t) == jax.tree.all(t)
    assert aj.tree.reduce(operator.add, t, 0) == jax.tree.reduce(operator.add, t, 0)


@given(trees)
def test_paths_as_jax(t):
    ours, theirs = aj.tree.leaves_with_path(t), jax.tree.leaves_with_path(t)
    assert [leaf for _, leaf in ours] == [leaf for _, leaf in theirs]
    for (path, _), (expected, _) in zip(ours, theirs):
        assert tree_util.keystr(path) == jax.tree_util.keystr(expected)
        assert [str(k) for k in path] == [str(k) for k in expected]
        simple = {"simple": True, "separator": "/"}
        assert tree_util.keystr(path, **simple) == jax.tree_util.keystr(expected, **simple)


@given(trees)
def test_map_with_path_as_jax(t):
    show = lambda keystr: lambda path, a, b: (keystr(path), a + b)  # noqa: E731
    assert aj.tree.map_with_path(show(tree_util.keystr), t, t) == jax.tree.map_with_path(
        show(jax.tree_util.keystr), t, t
    )


@given(trees, trees)
def test_structures_compare_as_jax(t, u):
    assert (aj.tree.structure(t) == aj.tree.structure(u)) == (jax.tree.structure(t) == jax.tree.structure(u))


@given(st.lists(leaf, min_size=1, max_size=9))
def test_reduce_associative(xs):
    assert aj.tree.reduce_associative(operator.add, xs) == sum(xs)
    assert aj.tree.reduce_associative(operator.add, [str(x) for x in xs]) == "".join(map(str, xs))


def test_broadcast():
    full = {"a": [1, 2], "b": (3, {"c": 4})}
    assert aj.tree.broadcast({"a": 7, "b": (8, 9)}, full) == jax.tree.broadcast({"a": 7, "b": (8, 9)}, full)


def test_transpose():
    outer, inner = aj.tree.structure({"a": 0, "b": 0}), aj.tree.structure([0, 0])
    assert aj.tree.transpose(outer, inner, {"a": [1, 2], "b": [3, 4]}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


def test_mismatch_names_the_path():
    with pytest.raises(TreeError, match=r"\['w'\]"):
        aj.tree.map(operator.add, {"w": [1, 2]}, {"w": [1]})


def test_registered_classes():
    class Box:
        def __init__(self, a, b):
            self.a, self.b = a, b

    keyed = lambda x: (((tree_util.GetAttrKey("a"), x.a), (tree_util.GetAttrKey("b"), x.b)), "aux")  # noqa: E731
    tree_util.register_pytree_with_keys(Box, keyed, lambda aux, children: Box(*children))
    paths = [tree_util.keystr(p) for p, _ in aj.tree.leaves_with_path([Box(1, {"k": 2})])]
    assert paths == ["[0].a", "[0].b['k']"]
    assert aj.tree.map(lambda x: x + 1, Box(1, 2)).b == 3
    assert tree_util.is_tree_node(Box) and tree_util.is_tree_node(Point) and tree_util.is_tree_node(dict)
    assert not tree_util.is_tree_node(int)

    class Plain:
        def __init__(self, *xs):
            self.xs = xs

    tree_util.register_pytree_node(Plain, lambda p: (p.xs, None), lambda _, xs: Plain(*xs))
    assert tree_util.keystr(aj.tree.leaves_with_path(Plain(1, 2))[1][0]) == "[<flat index 1>]"


def test_register_dataclass_with_static_fields():
    @tree_util.register_dataclass
    @dataclasses.dataclass
    class Layer:
        w: object
        name: str = aj.tree.static(default="dense")

    layer = Layer(3)
    assert aj.tree.leaves(layer) == [3]
    assert aj.tree.map(lambda x: x + 1, layer) == Layer(4)
    assert tree_util.keystr(aj.tree.leaves_with_path(layer)[0][0]) == ".w"
    assert aj.tree.structure(Layer(1, "x")) != aj.tree.structure(Layer(1, "y"))


def test_register_static():
    @tree_util.register_static
    @dataclasses.dataclass(frozen=True)
    class Config:
        width: int

    assert aj.tree.leaves({"c": Config(3), "x": 1}) == [1]
    assert aj.tree.map(lambda x: x, Config(3)) == Config(3)


def test_partial_as_jax():
    add = tree_util.Partial(operator.add, 2)
    assert aj.tree.map(lambda x: x * 10, add)(1) == 21
    for m in (jax.tree_util, tree_util):
        p = m.Partial(max, 1, key=abs)
        assert isinstance(p, functools.partial) and "Partial(<built-in function max>, 1, key=" in repr(p)
        assert m.tree_leaves(m.Partial(max, 1)) == [1] and pickle.loads(pickle.dumps(m.Partial(max, 1)))(4) == 4
        for inner in (m.Partial(max, 1), functools.partial(max, 1)):  # whose arguments are not leaves
            outer = m.Partial(inner, 2)
            assert m.tree_leaves(outer) == [2] and outer(0) == 2
            assert m.tree_structure(outer) == m.tree_structure(m.Partial(inner, 5))
        with pytest.raises(TypeError):
            m.Partial(3)


def test_transpose_finds_the_inner_structure():
    for m in (jax, aj):
        assert m.tree.transpose(m.tree.structure([0, 0]), None, [{"a": 1}, {"a": 2}]) == {"a": [1, 2]}


def test_treedefs():
    t = tree_util.tree_structure((1, {"a": 2}))
    assert [d.num_leaves for d in tree_util.treedef_children(t)] == [1, 1]
    assert tree_util.treedef_is_leaf(tree_util.tree_structure(1)) and not tree_util.treedef_is_leaf(t)
    assert tree_util.treedef_tuple(tree_util.treedef_children(t)) == t
    assert tree_util.all_leaves([1, 2]) and not tree_util.all_leaves([1, [2]])
    assert tree_util.flatten_one_level({"a": [1, 2], "b": 3})[0] == [[1, 2], 3]
    with pytest.raises(TreeError, match="leaf"):
        tree_util.flatten_one_level(3)


def key_orders(m, calls):
    """The key orders that traced functions see and return when they are called with ``calls``, in this order."""
    seen = []

    def watch(d):
        seen.append([list(d), list(d["in"])])
        return dict(reversed(d.items()))

    branch = lambda d: m.lax.cond(True, watch, lambda d: d, d)  # noqa: E731
    step = lambda c, _: (watch(c), None)  # noqa: E731
    going = lambda d: d["z"] > 9  # noqa: E731
    transformed = [
        m.jit(watch),
        branch,
        m.jit(branch),
        lambda d: m.lax.scan(step, d, None, length=1)[0],
        lambda d: m.lax.while_loop(going, watch, d),
        m.grad(lambda d: m.tree.reduce(operator.add, watch(d))),
        lambda d: m.vjp(m.jit(watch), d)[1](m.tree.map(float, d))[0],
        lambda d: m.jvp(watch, (d,), (d,))[1],
        lambda d: m.linearize(watch, d)[1](d),
        lambda d: m.vmap(watch, axis_size=2, in_axes=None)(d),
        m.checkpoint(watch),
        lambda d: m.eval_shape(watch, d),
    ]
    for d in calls:
        results = [f(d) for f in transformed]
        seen += [[list(out), list(out["in"])] for out in results]
    return seen


def test_keys_are_in_order_whatever_was_traced_first():
    za = {"z": 1.0, "in": {"y": 2.0, "b": 3.0}, "a": 4.0}
    az = {"a": 4.0, "in": {"b": 3.0, "y": 2.0}, "z": 1.0}
    for calls in ([za, az], [az, za]):
        for m in (jax, aj):
            assert {str(order) for order in key_orders(m, calls)} == {"[['a', 'in', 'z'], ['b', 'y']]"}


@given(trees)
def test_structures_print_and_count_as_jax(t):
    ours, theirs = aj.tree.structure(t), jax.tree.structure(t)
    assert repr(ours) == repr(theirs)
    assert str(ours.compose(aj.tree.structure([0]))) == str(theirs.compose(jax.tree.structure([0])))
    assert (ours.num_nodes, ours.node_data()) == (theirs.num_nodes, theirs.node_data())
    assert tree_util.treedef_is_leaf(ours) == jax.tree_util.treedef_is_leaf(theirs)
    assert str(tree_util.treedef_children(ours)) == str(jax.tree_util.treedef_children(theirs))
    told = [structure.walk(lambda *node: str(node), str, range(ours.num_leaves)) for structure in (ours, theirs)]
    assert told[0] == told[1]
    assert pickle.loads(pickle.dumps(ours)) == ours


def test_structures_of_registered_classes_print_as_jax():
    for module, register in ((aj, tree_util), (jax, jax.tree_util)):

        class Pair:
            def __init__(self, *parts):
                self.parts = parts

        register.register_pytree_node(Pair, lambda p: (p.parts, ("aux", 1)), lambda aux, parts: Pair(*parts))
        structure = module.tree.structure([Pair(1, None), register.Partial(max, 1, key=2), (3,)])
        assert repr(structure) == (
            "PyTreeDef([CustomNode(Pair[('aux', 1)], [*, None]),"
            " CustomNode(Partial[<built-in function max>], [(*,), {'key': *}]), (*,)])"
        )
        assert repr(structure.from_iterable_tree([[1, ()], ((5,), {"key": 6}.values()), [7]])[2]) == "(7,)"


@pytest.mark.parametrize("keys", [(1, "a"), (None, "a"), ((1, "a"), ("a", 1)), (1j, 2j)])
@pytest.mark.parametrize("kind", [dict, lambda d: collections.defaultdict(int, d)])
def test_keys_that_cannot_be_sorted_are_refused_as_by_jax(keys, kind):
    t = {"outer": kind(dict.fromkeys(keys, 1.0))}
    for call in (aj.tree.leaves, aj.tree.structure, aj.jit(lambda d: d), aj.tree.leaves_with_path, jax.tree.leaves):
        with pytest.raises((ValueError, TypeError), match=r"sort|not supported between"):
            call(t)
    with pytest.raises(ValueError, match=r"keys can be sorted, got .*Use keys of one type"):
        aj.tree.map(abs, t)
    one = {"outer": kind({keys[0]: 1.0})}
    assert aj.tree.leaves(one) == jax.tree.leaves(one) == [1.0]


def test_equal_keys_of_several_types_stay_as_they_are():
    for key in (1, True, 1.0, "1"):
        assert repr(aj.tree.map(abs, {key: -1})) == repr({key: 1})


def test_leaves_that_optree_takes_apart():
    for t in (collections.deque([1, 2]), time.gmtime(0)):
        assert aj.tree.leaves([t, 3]) == jax.tree.leaves([t, 3]) == [t, 3]
        assert aj.tree.leaves_with_path(t, lambda path, x: x == 3, is_leaf_takes_path=True) == [((), t)]
        assert aj.tree.map(type, {"a": t}) == {"a": type(t)}
        with pytest.raises(TypeError, match=r"deque|struct_time"):
            aj.jit(lambda x: x)(t)
