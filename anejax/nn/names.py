"""Names of parameters by the layers that have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax import random, tree
from anejax.api.staging import eval_shape
from anejax.marks import joined
from anejax.nn.layer import Layer, watching


def parameter_names(net: Layer, x: Any, made: tuple[Any, Any] | None = None) -> tuple[Any, Any]:
    """Trees of the structures of ``net``'s parameters and state, with a name in place of each array: the path of the
    innermost layer that is given the array, as ``nn.summary`` and marks have it, and the array's place in what that
    layer is given. An array that no layer inside is given is named after its place in the whole tree.

    Args:
        net: a layer.
        x: an array, a tree of arrays, or their ShapeDtypeStructs; nothing is computed.
        made: (params, state) as ``init`` returns them, or their types, which saves tracing ``init``.

    Example:
        >>> from anejax import ShapeDtypeStruct, nn
        >>> net = nn.Sequential(nn.Scope("hidden", nn.Linear(16)), nn.ReLU(), nn.Residual(nn.Linear(16)))
        >>> nn.parameter_names(net, ShapeDtypeStruct((4, 8), "float32"))[0]
        ({'b': 'hidden/b', 'w': 'hidden/w'}, (), {'main': {'b': '2/b', 'w': '2/w'}})
    """
    types = eval_shape(net.init, random.key(0), x) if made is None else made
    names: dict[int, tuple[int, str]] = {}  # id of a traced array -> (depth of its layer, name)
    paths: list[str] = []

    def watch(name: str, layer: Layer, apply: Callable[[], Any], args: Any) -> Any:
        paths.append(joined(paths[-1], name) if paths else name)
        for given in args[:2]:
            for place, leaf in tree.flatten_with_path(given)[0]:
                if names.get(id(leaf), (0, ""))[0] < len(paths):
                    text = joined(paths[-1], tree.keystr(place, simple=True, separator="/"))
                    names[id(leaf)] = (len(paths), text)
        y = apply()
        paths.pop()
        return y

    found: list[list[str]] = []

    def run(params: Any, state: Any, x: Any) -> Any:
        with watching(watch):
            y, _ = net.apply(params, state, x)
        for given in (params, state):
            found.append([names[id(leaf)][1] for leaf in tree.leaves(given)])
        return y

    eval_shape(run, *types, x)
    named = [tree.unflatten(tree.structure(t), own) for t, own in zip(types, map(_distinct, types, found), strict=True)]
    return named[0], named[1]


def _distinct(given: Any, names: list[str]) -> list[str]:
    """The names; where two arrays have one, those of all by their places."""
    if len({*names}) == len(names):
        return names
    return [tree.keystr(place, simple=True, separator="/") for place, _ in tree.flatten_with_path(given)[0]]
