"""Names of parameters by the layers that have them."""

from __future__ import annotations

import anejax as aj
from anejax import nn


def test_names_of_parameters() -> None:
    """The innermost layer's path; a layer that occurs twice with two sets of parameters has a name for each."""
    one = nn.Linear(4)
    net = nn.Sequential(nn.Scope("in", one), nn.Remat(nn.Sequential(one, nn.BatchNorm())), nn.Residual(one), nn.ReLU())
    params, state = nn.parameter_names(net, aj.ShapeDtypeStruct((2, 4), "float32"))
    assert aj.tree.leaves(params) == ["in/b", "in/w", "1/0/b", "1/0/w", "1/1/bias", "1/1/scale", "2/b", "2/w"]
    assert aj.tree.leaves(state) == ["1/1/mean", "1/1/var"]


def test_names_of_a_layer_of_ones_own() -> None:
    """Arrays that it uses itself, and arrays of two layers of one name."""

    class Own(nn.Layer):
        def init(self, key, x):
            return {"scale": aj.numpy.ones(3), "parts": [nn.Linear(3).init(key, x)[0] for _ in range(2)]}, ()

        def apply(self, params, state, x, *, key=None, train=False):
            for part in params["parts"]:
                x, _ = nn.apply_as("part" if self.alike else "", nn.Linear(3), part, (), x)
            return x * params["scale"], state

    net, x = Own(), aj.ShapeDtypeStruct((2, 3), "float32")
    for net.alike in (True, False):
        params, _ = nn.parameter_names(net, x)
        assert aj.tree.leaves(params) == ["parts/0/b", "parts/0/w", "parts/1/b", "parts/1/w", "scale"]
