"""Apple's BLAS, of which a stand-in is opened: each thread chooses threads, and the new LAPACK is called."""

import subprocess
import sys

import pytest

from tests.espresso import stand_in

STAND_IN = stand_in().with_name("libanesdk_accelerate.so")
USE = """
import ctypes, json, sys, threading
import numpy as np
import anejax as aj, anejax.numpy as jnp
from anejax.runtime.library import NativeProgram
x = np.random.default_rng(0).standard_normal((96, 96)).astype(np.float32)
f = aj.jit(lambda v: v @ v.T + 1)
threads = [threading.Thread(target=f, args=(x,)) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
np.testing.assert_allclose(f(x), x @ x.T + 1, atol=1e-4)
many = np.stack([x] * 8)
np.testing.assert_allclose(aj.jit(lambda v: v @ v)(many), many @ many, atol=1e-3)
d = x[:5, :5] + 10 * np.eye(5, dtype=np.float32)
sign, logdet = aj.jit(jnp.linalg.slogdet)(d)
np.testing.assert_allclose(logdet, np.linalg.slogdet(d)[1], rtol=1e-5)
lib = ctypes.CDLL(sys.argv[1])
text = "program(1.3)\\n{ func main<ios18>(fp32 x) { fp32 y = add(x = x, y = x); } -> (y); }"
print(lib.standin_calls() > 10, lib.standin_without_choice(), lib.standin_of_old_names(),
      json.loads(NativeProgram("cpu", text).describe("stats"))["blas"])
"""


@pytest.mark.skipif(not STAND_IN.is_file(), reason="the stand-in is not built: make test-native")
@pytest.mark.parametrize("threads", ["1", "4"])
def test_accelerate(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANEJAX_BLAS", str(STAND_IN))
    monkeypatch.setenv("ANEJAX_NUM_THREADS", threads)
    done = subprocess.run([sys.executable, "-c", USE, str(STAND_IN)], capture_output=True, text=True)
    assert done.stdout == "True 0 0 accelerate, LAPACK 3.9\n", done.stdout + done.stderr
