"""Programs between processes, in a process that is alone: what was made for several is refused, not run."""

from __future__ import annotations

import numpy as np
import pytest

from anejax.errors import DeviceError
from anejax.runtime.library import NativeProgram

HEAD = 'program(1.3)\n[buildInfo = dict<string, string>({{"coremlc-version", "3520.5.1"}})]\n'
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def run(statement: str, result: str) -> np.ndarray:
    text = f"{HEAD}{{\n func main<ios18>(tensor<fp32, [2, 3]> x) {{\n  {result} o = {statement};\n }} -> (o);\n}}\n"
    program = NativeProgram("cpu", text)
    out = np.empty(tuple(program.outputs[0].shape[: program.outputs[0].rank]), np.float32)
    program.run([X.ctypes.data], [out.ctypes.data])
    return out


@pytest.mark.parametrize(
    ("statement", "result"),
    [
        ("aj_process_gather(size = int32(3), x = x)", "tensor<fp32, [3, 2, 3]>"),
        ("aj_process_join(size = int32(2), x = x)", "tensor<fp32, [4, 3]>"),
        ("aj_process_cut(size = int32(2), x = x)", "tensor<fp32, [1, 3]>"),
        (
            "aj_process_permute(sources = tensor<int32, [1]>([1]), targets = tensor<int32, [1]>([0]), x = x)",
            "tensor<fp32, [2, 3]>",
        ),
    ],
)
def test_programs_for_several_processes_are_refused(statement: str, result: str) -> None:
    with pytest.raises(DeviceError, match="process"):
        run(statement, result)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("aj_process_cut(size = int32(4), x = x)", "divide"),
        ("aj_process_gather(size = int32(0), x = x)", "size"),
        (
            "aj_process_permute(sources = tensor<int32, [2]>([0, 0]), targets = tensor<int32, [2]>([0, 1]), x = x)",
            "distinct",
        ),
    ],
)
def test_texts_that_no_process_can_run_are_refused(statement: str, message: str) -> None:
    with pytest.raises(DeviceError, match=message):
        run(statement, "tensor<fp32, [2, 3]>")


def test_one_process_gets_its_own_values() -> None:
    for name in ("process_gather(size = int32(1), x = x)", "process_join(size = int32(1), x = x)"):
        shape = "[1, 2, 3]" if "gather" in name else "[2, 3]"
        assert np.array_equal(run(f"aj_{name}", f"tensor<fp32, {shape}>").reshape(2, 3), X)
    nothing = "tensor<int32, [0]>([])"
    assert not run(f"aj_process_permute(sources = {nothing}, targets = {nothing}, x = x)", "tensor<fp32, [2, 3]>").any()
