"""The engine device from Python, over the stand-in for Espresso that `make test-native` builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from anejax.errors import DeviceError
from anejax.mil.text import to_text
from anejax.runtime.library import NativeProgram
from tests.espresso import ROOT, port_arrays, run
from tests.passes.test_legalize import ENGINE_CASES, legal

pytestmark = pytest.mark.usefixtures("espresso")
EPSILON = 2.0**-10  # of float16


def golden(name: str) -> str:
    return (ROOT / "tests" / "golden" / f"{name}.ane.mil").read_text()


def check_agreement(text: str) -> None:
    """Three runs on random inputs: within 4 eps of the largest element, from one compile."""
    device, cpu = NativeProgram("ane", text), NativeProgram("cpu", text)
    for seed in range(3):
        inputs = port_arrays(device, seed)
        for got, expected in zip(run(device, inputs), run(cpu, inputs), strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=4 * EPSILON * np.abs(expected).max())
    stats = json.loads(device.describe("stats"))
    assert (stats["device"], stats["placement"], stats["compiles"], stats["runs"]) == ("ane", "ane", 1, 3)


@pytest.mark.parametrize("name", ["mlp_forward", "mlp_backward"])
def test_networks_agree_with_the_cpu_device(name: str) -> None:
    check_agreement(golden(name))


@pytest.mark.parametrize("name", ENGINE_CASES)
def test_legalized_programs_agree_with_the_cpu_device(name: str) -> None:
    check_agreement(to_text(legal(name, "ane")[2]))


def test_refuses_float32_ports() -> None:
    text = golden("mlp_forward").replace("fp16", "fp32")
    with pytest.raises(DeviceError, match="fp32"):
        NativeProgram("ane", text)


def test_says_that_espresso_is_missing() -> None:
    code = (
        "import sys; from anejax.runtime.library import NativeProgram, DeviceError\n"
        "try: NativeProgram('ane', open(sys.argv[1]).read())\n"
        "except DeviceError as error: print(error)"
    )
    path = ROOT / "tests" / "golden" / "mlp_forward.ane.mil"
    environment = {**os.environ, "ANEJAX_ESPRESSO": "/no/such/Espresso"}
    done = subprocess.run([sys.executable, "-c", code, path], env=environment, capture_output=True, text=True, cwd=ROOT)
    assert "ANESDK_ENGINE_MISSING" in done.stdout and "/no/such/Espresso cannot be opened" in done.stdout, done
