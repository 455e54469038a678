"""MIL's weights in few bits and its state on the CPU device, and that nothing of MIL is left out without a reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anejax.errors import DeviceError, ParseError, VerifyError
from anejax.mil.absent import REASONS
from anejax.mil.opset import OPSET
from anejax.mil.parse import parse
from anejax.mil.program import Builder, Type
from anejax.mil.text import to_text
from anejax.mil.verify import verify
from anejax.runtime.library import DTYPES, NativeProgram
from tests.espresso import run
from tests.mil import layers
from tests.mil.samples import Array

RNG = np.random.default_rng(0)
MASK = np.array([[1, 0, 1, 1], [0, 0, 1, 0]], np.uint8)
SMALL = RNG.integers(-9, 9, (4, 6)).astype(np.int8)
INDICES = RNG.integers(0, 4, (4, 6)).astype(np.uint8)


def halves(*shape: int) -> Array:
    return RNG.uniform(-2, 2, shape).astype(np.float16)


CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("constexpr_affine_dequantize", layers.affine_dequantize,
     {"quantized_data": SMALL, "zero_point": np.int8(3), "scale": np.float16(0.3), "axis": 0}),
    ("constexpr_affine_dequantize", layers.affine_dequantize,
     {"quantized_data": INDICES, "zero_point": np.arange(6, dtype=np.uint8), "scale": halves(6), "axis": 1}),
    ("constexpr_blockwise_shift_scale", layers.blockwise, {"data": SMALL, "scale": halves(2, 3)}),
    ("constexpr_blockwise_shift_scale", layers.blockwise,
     {"data": SMALL, "scale": halves(4, 1).astype(np.float32), "offset": SMALL[:, :1].copy()}),
    ("constexpr_lut_to_dense", layers.lut_to_dense, {"indices": INDICES, "lut": halves(1, 2, 4, 1)}),
    ("constexpr_lut_to_dense", layers.lut_to_dense, {"indices": INDICES, "lut": halves(2, 1, 4, 3), "vector_axis": 0}),
    ("constexpr_lut_to_dense", layers.lut_to_dense, {"indices": INDICES, "lut": halves(1, 1, 4, 2), "vector_axis": 1}),
    ("constexpr_sparse_to_dense", layers.sparse_to_dense, {"nonzero_data": halves(4), "mask": MASK}),
    ("constexpr_sparse_to_dense", layers.sparse_to_dense, {"nonzero_data": halves(0), "mask": np.zeros(3, bool)}),
    ("constexpr_lut_to_sparse", layers.lut_to_sparse,
     {"indices_mask": MASK, "indices_nonzero_data": INDICES[0, :4].copy(), "lut": halves(1, 1, 4, 2),
      "vector_axis": 0}),
    ("constexpr_sparse_blockwise_shift_scale", layers.sparse_blockwise,
     {"data_mask": MASK, "nonzero_data": SMALL[0, :4].copy(), "scale": halves(1, 4), "offset": SMALL[1:2, :4].copy()}),
    ("constexpr_cast", lambda source_val, output_dtype: source_val.astype(np.float32),
     {"source_val": halves(3), "output_dtype": "fp32"}),
]  # fmt: skip


def test_weights_in_few_bits() -> None:
    """The reference has the meaning of coremltools' decompress; one rounding apart at most."""
    for name, reference, consts in CASES:
        want = reference(**consts)
        want = want if isinstance(want, list) else [want]
        b = Builder()
        found = b.op(
            name,
            consts,
            out=[Type({"float16": "fp16", "float32": "fp32"}.get(str(a.dtype), str(a.dtype)), a.shape) for a in want],
        )
        b.returns(*(found if isinstance(found, (list, tuple)) else (found,)))
        verify(b.program(), "cpu")
        with pytest.raises(VerifyError, match="not an operation of target"):
            verify(b.program(), "coreml")
        for got, expected in zip(run(NativeProgram("cpu", to_text(b.program())), []), want, strict=True):
            ulp = np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
            np.testing.assert_allclose(
                got.astype(np.float64), expected.astype(np.float64), rtol=ulp, atol=0, err_msg=name
            )


def test_weights_in_few_bits_coremltools() -> None:
    """The references of this file against coremltools' own."""
    registry = pytest.importorskip("coremltools.converters.mil.mil.ops.registry")
    for name, reference, consts in CASES:
        if name in ("constexpr_cast", "constexpr_affine_dequantize"):  # the rule of `dequantize`, tested with it
            continue
        theirs = list(registry.SSAOpRegistry.core_ops[name].values())[-1].decompress
        given: dict[str, Any] = {k: v if isinstance(v, np.ndarray) else np.int32(v) for k, v in consts.items()}
        if name == "constexpr_lut_to_sparse" or name == "constexpr_lut_to_dense":
            given.setdefault("vector_axis", None)
        if "scale" in given:
            given.setdefault("offset", None)
        ours, want = reference(**consts), theirs(**given)
        for a, b in zip(ours if isinstance(ours, list) else [ours], want if isinstance(want, tuple) else [want]):
            np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-3, err_msg=name)


SPARSE = """program(1.3) { func main<ios18>(tensor<fp16, [2, 4]> x) {
    tensor<uint1, [2, 4]> mask = const()[val = tensor<uint1, [2, 4]>([1, 0, 1, 1, 0, 0, 1, 0])];
    tensor<uint1, [2, 4]> m, tensor<fp16, [4]> d = constexpr_lut_to_sparse()[indices_mask = mask,
        indices_nonzero_data = tensor<uint2, [4]>([0, 3, 1, 2]),
        lut = tensor<fp16, [1, 1, 4, 1]>([1.0, 2.0, 3.0, 4.0])];
    tensor<fp16, [2, 4]> w = constexpr_sparse_to_dense(mask = m, nonzero_data = d);
    tensor<fp16, [2, 4]> y = mul(x = x, y = w); } -> (y); }"""


def test_a_chain_of_compressed_weights_as_texts_write_it() -> None:
    """Operands stand among the attributes, and types of fewer than eight bits are read as eight."""
    want = [[1, 0, 4, 2], [0, 0, 3, 0]]
    for text in (SPARSE, to_text(parse(SPARSE))):
        verify(parse(text), "cpu")
        (got,) = run(NativeProgram("cpu", text), [np.ones((2, 4))])
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("([0, 3, 1, 2])", "([0, 3, 1, 9])", "an index is 9, lut has 4"),
        ("[1, 0, 1, 1, 0, 0, 1, 0]", "[1, 0, 1, 1, 0, 0, 1, 1]", "as many elements as indices_mask"),
        ("mask = m,", "mask = mask,", None),
        ("constexpr_sparse_to_dense(mask = m, nonzero_data = d)", "mul(x = x, y = x)", None),
        ("nonzero_data = d)", "nonzero_data = e)", "must be a constant"),
        ("tensor<fp16, [1, 1, 4, 1]>", "tensor<fp16, [1, 3, 4, 1]>", "expected 12 elements"),
        ("[1, 1, 4, 1]>([1.0, 2.0, 3.0, 4.0])", "[1, 2, 1, 2]>([1.0, 2.0, 3.0, 4.0])", "vector_axis"),
    ],
)
def test_wrong_weights(old: str, new: str, words: str | None) -> None:
    text = SPARSE.replace(old, new)
    if new.endswith("= e)"):
        text = text.replace("tensor<fp16, [2, 4]> w", "tensor<fp16, [4]> e = exp(x = d);\n tensor<fp16, [2, 4]> w")
    if words is None:
        NativeProgram("cpu", text)
        return
    with pytest.raises(DeviceError, match=words):
        NativeProgram("cpu", text)


STATE = """program(1.3) {
  func main<ios18>(state<tensor<fp16, [3]>> s, tensor<fp16, [3]> x, state<tensor<fp16, [3]>> t) {
    tensor<fp16, [3]> a = read_state(input = s);
    tensor<fp16, [3]> b = add(x = a, y = x);
    tensor<fp16, [3]> c = coreml_update_state(state = s, value = b);
    tensor<fp16, [3]> d = read_state(input = s);
    tensor<fp16, [3]> e = mul(x = d, y = x);
    tensor<fp16, [3]> f = coreml_update_state(state = s, value = e);
    tensor<fp16, [3]> g = read_state(input = t);
    tensor<fp16, [3]> h = sub(x = d, y = g); } -> (h); }"""


def test_state_is_an_input_and_a_result() -> None:
    """Reads see the update before them; the last value of what was updated comes behind the other results."""
    s, x, t = (np.array(v, np.float16) for v in ([1, 2, 3], [2, 2, 2], [5, 5, 5]))
    for text in (STATE, to_text(parse(STATE))):
        verify(parse(text), "cpu")
        h, last = run(NativeProgram("cpu", text), [s, x, t])
        np.testing.assert_array_equal(h, s + x - t)
        np.testing.assert_array_equal(last, (s + x) * x)
    with pytest.raises(VerifyError, match="reads or writes of state"):
        verify(parse(STATE), "ane")
    for broken in ("state<fp16, [3]> s", "state<string> s", "state<state<fp16>> s", "state s"):
        text = STATE.replace("state<tensor<fp16, [3]>> s", broken)
        with pytest.raises(DeviceError):
            NativeProgram("cpu", text)
        if broken != "state<string> s":
            with pytest.raises(ParseError, match="expected"):
                parse(text)


def test_no_operation_of_coremltools_is_left_out_without_a_reason() -> None:
    """Every operation of MIL has a row, is how the text writes constants, or has a reason that its error says."""
    registry = pytest.importorskip("coremltools.converters.mil.mil.ops.registry")
    theirs = set(registry.SSAOpRegistry.core_ops) | set(REASONS)
    assert theirs - OPSET.keys() - REASONS.keys() == {"const"}
    assert not OPSET.keys() & REASONS.keys()
    for name in REASONS:
        text = f"program(1.3) {{ func main<ios18>(fp32 x) {{ fp32 y = {name}(x = x); }} -> (y); }}"
        with pytest.raises(VerifyError, match=r"expected an operation of the table .*; "):
            verify(parse(text), "cpu")


AUDIT = """affine constexpr_affine_dequantize constexpr_blockwise_shift_scale crop depth_to_space space_to_depth einsum
flatten2d local_response_norm pixel_shuffle pixel_unshuffle resize_bilinear resize_nearest_neighbor upsample_bilinear
upsample_nearest_neighbor read_state coreml_update_state scaled_dot_product_attention resize"""


def test_the_cpu_device_has_every_operation_but_lstm() -> None:
    """Those of texts that other projects' generators wrote among them."""
    assert {name for name, schema in OPSET.items() if "cpu" not in schema.targets} == {"lstm"}
    assert set(AUDIT.split()) <= OPSET.keys()
    assert DTYPES  # the library is there
