"""jit(precision="fp16") and its report; the device's numbers are tested in tests/native/test_engine_numerics.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import optim
from anejax.api.numerics import OperationNumerics
from anejax.errors import NumericsWarning
from anejax.marks import BACKWARD, Mark

RNG = np.random.default_rng(0)


UP = "scale what goes in up, the result back; harmless where larger numbers are added"


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def small_and_one(x: Any) -> Any:
    """[n] -> [n, 1]; a result of the input's type would be taken for an update of state, which keeps float32."""
    return ((x + 1) - 1)[:, None]


TINY = np.full(64, 2.0**-12, np.float32)  # 1 + 2^-12 is 1 in float16


def test_precision_is_an_argument_or_a_setting() -> None:
    chosen, default = aj.jit(small_and_one, precision="fp16"), aj.jit(small_and_one)
    np.testing.assert_array_equal(chosen(TINY), 0)
    np.testing.assert_array_equal(default(TINY), TINY[:, None])
    with aj.config.override("precision", "fp16"):
        np.testing.assert_array_equal(default(TINY), 0)
        np.testing.assert_array_equal(aj.jit(small_and_one, precision="float32")(TINY), TINY[:, None])
        assert default.device == "cpu-fp16"
    assert default.device == "cpu"
    assert default(TINY).dtype == chosen(TINY).dtype == np.float32


def test_precisions_that_are_not_known() -> None:
    message = r"\[jit\] expected a precision of 'float32' or 'fp16', got 'half'"
    with pytest.raises(ValueError, match=message):
        aj.jit(small_and_one, precision="half")
    with aj.config.override("precision", "half"), pytest.raises(ValueError, match=message):
        aj.jit(small_and_one)(TINY)


def test_report_wants_a_function_of_that_kind() -> None:
    with pytest.raises(TypeError, match="expected a jitted function, got function"):
        aj.numerics_report(small_and_one)
    with pytest.raises(ValueError, match=r"got one for 'cpu'. Write jit\(f, precision=\"fp16\"\)"):
        aj.numerics_report(aj.jit(small_and_one))


def loss(params: Any, x: Any, y: Any) -> Any:
    hidden = jnp.tanh(x @ params["w"] + params["b"])
    return jnp.mean((hidden @ params["v"] - y) ** 2)


def network(x: np.ndarray) -> dict[str, np.ndarray]:
    return {"w": normal(x.shape[1], 32) / 8, "b": np.zeros(32, np.float32), "v": normal(32, 1) / 8}


def test_gradients_are_near_those_of_float32() -> None:
    """Within 64 eps of float16 of the largest: some thirty roundings stand between inputs and gradients."""
    x = normal(64, 32)
    params, y = network(x), x[:, :1]
    for got, want in zip(*(aj.tree.leaves(aj.jit(aj.value_and_grad(loss), precision=p)(params, x, y))
                           for p in ("fp16", "float32")), strict=True):  # fmt: skip
        scale = float(np.abs(want).max())
        np.testing.assert_allclose(got, want, rtol=0, atol=64 * 2.0**-10 * scale)
        assert np.shape(got) == () or not np.array_equal(got, want)


def trained(precision: str, steps: int = 30) -> tuple[list[float], Any]:
    optimizer = optim.adam(1e-2)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((128, 32)).astype(np.float32)
    y = np.sin(x[:, :1]).astype(np.float32)
    params = {"w": rng.standard_normal((32, 32)).astype(np.float32) / 8, "b": np.zeros(32, np.float32),
              "v": rng.standard_normal((32, 1)).astype(np.float32) / 8}  # fmt: skip

    def step(params: Any, state: Any) -> Any:
        value, grads = aj.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(grads, state, params)
        return optim.apply_updates(params, updates), state, value

    run = aj.jit(step, precision=precision, donate_argnums=(0, 1))
    params, losses = aj.tree.map(jnp.asarray, params), []
    state = optimizer.init(params)
    for _ in range(steps):
        params, state, value = run(params, state)
        losses.append(float(value))
    return losses, run


def test_a_network_trains_as_in_float32() -> None:
    """The curve stays within 1 % of the first loss, and the report counts every run."""
    (half, run), (full, _) = trained("fp16"), trained("float32")
    assert full[-1] < full[0] / 3
    np.testing.assert_allclose(half, full, rtol=0, atol=0.01 * full[0])
    report = aj.numerics_report(run)
    assert report.runs == 30
    products = [o for o in report.operations if o.operation == "matmul"]
    assert products and not any(o.overflowed or o.nan for o in report.operations)
    assert all(o.count % 30 == 0 and o.largest > 0 for o in products)


def test_report_names_causes_before_what_they_cause() -> None:
    @aj.jit
    def explode(x: Any, w: Any) -> Any:
        hidden = x @ w
        return ((hidden - hidden) * 1e-5 + jnp.exp(-(x**2)))[None]

    x, w = np.full((32, 32), 64, np.float32), np.full((32, 32), 32, np.float32)
    x[0] = 3  # exp(-9) has no normal number in float16
    with aj.config.override("precision", "fp16"):
        with pytest.warns(NumericsWarning, match="matmul at .*explode"):
            out = explode(x, w)
        report = aj.numerics_report(explode)
    assert np.isfinite(out).all()  # inf - inf is 0 there
    product, difference, *_ = report.troubled
    assert (product.operation, product.overflowed, product.largest) == ("matmul", 31 * 32, 65536)
    assert (difference.operation, difference.nan) == ("sub", 31 * 32)
    assert product.advice == "scale an operand by 2^-2 or 1/sqrt(terms), the result back"
    assert difference.advice == "look at what overflows before it"
    text = str(report)
    assert f"{len(report.troubled)} of {len(report.operations)} operations lost something in 1 runs" in text
    assert text.index(" matmul ") < text.index(" sub ")


def test_report_has_every_type_that_the_function_was_called_with() -> None:
    square = aj.jit(lambda x: (x * x)[:, None], precision="fp16")
    for n in (32, 64, 64):
        square(np.full(n, 1e-3, np.float32))
    report = aj.numerics_report(square)
    found = {o.segment.split(",")[0]: o.count for o in report.operations if o.operation == "mul"}
    assert found == {"types 0": 32, "types 1": 128} and report.runs == 3


def test_report_of_nothing() -> None:
    same = aj.jit(lambda x: x, precision="fp16")
    same(TINY)
    assert aj.numerics_report(same) == aj.NumericsReport(0, ())


@pytest.mark.parametrize(
    ("counts", "advice"),
    [
        (dict(operation="exp", underflowed=50), "harmless in a softmax"),
        (dict(operation="mul", underflowed=50, mark=Mark(part=BACKWARD)), "scale the loss (anejax.amp)"),
        (dict(operation="mul", underflowed=50), UP),
        (dict(operation="mul", underflowed=5), ""),
        (dict(operation="mul", overflowed=1, largest=131008.0), "scale what goes in by 2^-2, or clip it"),
        (dict(operation="input", nan=1), "NaN comes in"),
        (dict(operation="reduce_sum", sum_error=0.5), "sum in parts, or by a product with ones"),
    ],
)
def test_advice(counts: dict[str, Any], advice: str) -> None:
    none = dict(largest=1.0, overflowed=0, underflowed=0, zeroed=0, nan=0)
    found = OperationNumerics("segment 0", "x", count=1000, **{**none, **counts})
    assert found.advice == advice and found.in_trouble == bool(advice)


def test_rows_know_their_layers_and_lines_and_advice_fits() -> None:
    """Loss scaling mends gradients alone."""

    def tiny(w: Any, x: Any) -> Any:
        with aj.named_scope("layer"):
            return jnp.sum((x @ w) * 1e-6)

    args = normal(32, 32), normal(4, 32)
    forward = aj.jit(lambda w, x: jnp.tanh(x @ w * 1e-6)[None], precision="fp16")
    forward(*args)
    rows = aj.numerics_report(forward).troubled
    assert rows and not any("loss" in o.advice for o in rows)
    assert all(o.mark.line and o.mark.line.startswith(__file__) for o in rows)
    gradient = aj.jit(aj.grad(tiny), precision="fp16")
    gradient(*args)
    report = aj.numerics_report(gradient)
    (product,) = [o for o in report.troubled if o.operation == "matmul"]
    assert (product.mark.path, product.mark.part) == ("layer", "backward")
    assert product.advice == "scale the loss (anejax.amp)"
    assert "layer (backward)" in str(report) and "test_numerics.py:" in str(report)
