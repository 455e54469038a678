"""What legalization chooses for the engine: the cheaper form by the cost model, and the one that is right on a chip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax
from anejax.mil.cost import predict
from anejax.passes.legalize import patches
from anejax.passes.pipeline import optimize
from tests.passes.test_engine_equality import EPS, run
from tests.passes.test_engine_form import for_engine


def conv(x: Any, w: Any) -> Any:
    return lax.conv_general_dilated(x, w, (1, 1), "SAME")


def array(*shape: int) -> aj.ShapeDtypeStruct:
    return aj.ShapeDtypeStruct(shape, "float32")


@pytest.mark.parametrize("chip", ["M1", "M4"])
@pytest.mark.parametrize(
    ("batch", "side", "features", "out", "kernel"),
    [(64, 32, 3, 32, 3), (64, 32, 32, 64, 3), (128, 16, 64, 128, 3), (8, 64, 64, 64, 3), (2, 8, 4, 4, 3)],
)
def test_the_cheaper_convolution_is_written(
    batch: int, side: int, features: int, out: int, kernel: int, chip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches of all rows at a time, of one, of a few: what the cost model prefers, within 10 %."""
    args = array(batch, features, side, side), array(out, features, kernel, kernel)
    graph = optimize(aj.make_jaxpr(conv)(*args).graph)
    cost = lambda: predict(for_engine(graph, chip), chip).us  # noqa: E731
    chosen, forced = cost(), []
    for rows in (1, side // 4, side):
        monkeypatch.setattr(patches, "fitting", lambda row_bytes, rows=rows: rows)
        forced.append(cost())
    assert chosen <= 1.1 * min(forced), (chosen, *forced)


def test_bands_are_chosen_where_patches_do_not_fit() -> None:
    """Patches of all rows where they fit the SRAM, image by image, and of as many as do else."""

    def products(features: int, side: int) -> int:
        graph = optimize(aj.make_jaxpr(conv)(array(8, features, side, side), array(64, features, 3, 3)).graph)
        return sum(op.name == "matmul" for op in for_engine(graph, "M4").main.ops)

    assert [products(64, 28), products(64, 56), products(64, 128)] == [1, 2, 10]


@pytest.mark.parametrize(("chip", "transposes"), [("M1", 2), ("M3", 2), ("M4", 0)])
def test_slices_of_the_last_axis(chip: str, transposes: int) -> None:
    """Until A15 another axis is made the last one."""
    graph = optimize(aj.make_jaxpr(lambda x: x[:, 3:] * 2)(array(4, 8)).graph)
    assert sum(op.name == "transpose" for op in for_engine(graph, chip).main.ops) == transposes


@pytest.mark.parametrize("shape", [(2, 3, 6, 4), (2, 3, 9), (1, 1, 2, 2)])
def test_winners_of_windows_side_by_side(shape: tuple[int, ...]) -> None:
    """With ties, of which the first in row-major order wins, as in the general form."""
    window = {4: (1, 1, 2, 2), 3: (1, 1, 3)}[len(shape)]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, shape).astype(np.float32)
    pool = lambda a: lax.reduce_window(a, -np.inf, lax.max, window, window, "VALID")  # noqa: E731
    ct = rng.standard_normal(aj.eval_shape(pool, x).shape).astype(np.float16).astype(np.float32)
    back = aj.grad(lambda a: jnp.sum(pool(a) * ct))
    graph = optimize(aj.make_jaxpr(back)(x).graph)
    (got,) = run(graph, [x if a.shape == x.shape else ct for a in graph.in_avals], "M1")  # ct is captured
    np.testing.assert_allclose(got, np.asarray(back(x)), rtol=EPS)
