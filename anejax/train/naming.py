"""Names of the arrays of a run's state by the layers of its network: ``params/blocks/3/attention/q``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anejax import nn, tree
from anejax.train import checkpoint

Naming = Callable[[Any], list[str]]  # from a state, or its types, to the names of its leaves
_STATE = "model_state"


def by_layers(net: nn.Layer, x: Any) -> Naming:
    """The names of a state (a named tuple with ``params``, and ``model_state`` where the network has one) whose network
    takes inputs like ``x``. Arrays that an optimizer keeps for each parameter end in the parameter's name."""

    def names(state: Any) -> list[str]:
        trees = nn.parameter_names(net, x, (state.params, getattr(state, _STATE, ())))
        params, own = ({tuple(path): name for path, name in tree.flatten_with_path(t)[0]} for t in trees)
        leaves = [path for path, _ in tree.flatten_with_path(state)[0]]
        found = [_named(path, own if path[0].name == _STATE else params) for path in leaves]
        return found if len({*found}) == len(found) else checkpoint.places(state)

    return names


def _named(path: tuple[Any, ...], names: dict[tuple[Any, ...], str]) -> str:
    """The name of a leaf whose path ends in that of a parameter, behind what comes before; else its place."""
    for cut in range(1, len(path)):
        if path[cut:] in names:
            return f"{tree.keystr(path[:cut], simple=True, separator='/')}/{names[path[cut:]]}"
    return tree.keystr(path, simple=True, separator="/")
