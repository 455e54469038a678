"""Folders in Orbax's layout: what Orbax wrote is read, and Orbax reads what was written."""

from pathlib import Path

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import optim
from anejax.errors import FileError

ocp = pytest.importorskip("orbax.checkpoint", reason="pip install orbax-checkpoint")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_trees_go_there_and_back(tmp_path: Path) -> None:
    import jax

    net = {
        "dense": {"kernel": jnp.arange(6.0).reshape(2, 3), "half": jnp.ones(2, jnp.bfloat16)},
        "more": [jnp.zeros(1)],
    }
    aj.save(tmp_path / "ours", net, layout="orbax")
    theirs = ocp.PyTreeCheckpointer().restore(tmp_path / "ours")
    assert jax.tree.structure(theirs) == jax.tree.structure({"dense": {"kernel": 0, "half": 0}, "more": [0]})
    assert theirs["dense"]["half"].dtype == jnp.bfloat16 and np.array_equal(
        theirs["dense"]["kernel"], net["dense"]["kernel"]
    )
    back = aj.load(tmp_path / "ours")
    assert aj.tree.structure(back) == aj.tree.structure(net)
    assert all(map(np.array_equal, aj.tree.leaves(back), aj.tree.leaves(net)))
    with pytest.raises(FileError, match="expected a new path"):
        aj.save(tmp_path / "ours", net, layout="orbax")
    with pytest.raises(FileError, match="zero size"):
        aj.save(tmp_path / "none", [jnp.zeros(0)], layout="orbax")
    with pytest.raises(ValueError, match="layout safetensors or orbax"):
        aj.save(tmp_path / "other", net, layout="pickle")


def test_states_of_optimizers_and_folders_of_managers(tmp_path: Path) -> None:
    params = {"w": jnp.ones((2, 3))}
    state = optim.adam(1e-3).init(params)
    aj.save(tmp_path / "state", {"opt": state, "step": 7}, layout="orbax")
    back = aj.load(tmp_path / "state", like={"opt": state, "step": jnp.int32(0)})
    assert aj.tree.structure(back["opt"]) == aj.tree.structure(state) and int(back["step"]) == 7
    with ocp.CheckpointManager(tmp_path / "manager") as manager:
        manager.save(3, args=ocp.args.StandardSave({"w": np.ones(4, np.float32)}))
    assert np.array_equal(aj.load(tmp_path / "manager" / "3")["w"], np.ones(4))
    next((tmp_path / "state").rglob("manifest.ocdbt")).write_bytes(b"damaged")
    with pytest.raises(FileError, match="no whole checkpoint of Orbax"):
        aj.load(tmp_path / "state")
