"""A BLAS library that cannot have its work buffer: OpenBLAS ends the process, so it must not be called then."""

import subprocess
import sys

import pytest

pytest.importorskip("scipy_openblas32", reason="OpenBLAS is what ends the process")

SCARCE = """
import resource, threading
import numpy as np
import anejax as aj, anejax.numpy as jnp
n, count = 300, 6
rng = np.random.default_rng(0)
x = rng.standard_normal((count, n, n)).astype(np.float32)
{prepare}
f = aj.jit({function})
{first}
go, out = threading.Event(), [None] * count
def work(i):
    go.wait()
    try:
        for _ in range(20):
            out[i] = np.asarray(f(x[i]))
    except aj.errors.DeviceError as err:
        out[i] = err.reason
threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
for thread in threads: thread.start()
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (12 << 20), resource.RLIM_INFINITY))
go.set()
for thread in threads: thread.join()
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for given, found in zip(x, out):
    {check}
print("done")
"""


def _run(**parts: str) -> None:
    code = SCARCE.format(**{"prepare": "", "first": "f(x[0])", **parts})
    done = subprocess.run([sys.executable, "-c", code], timeout=200, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_products_of_many_threads_without_address_space() -> None:
    _run(
        function="lambda v: v @ v + 1",
        check="if not isinstance(found, str): np.testing.assert_allclose(found, given @ given + 1, atol=1e-2)",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_factorizations_of_many_threads_without_address_space() -> None:
    _run(
        function="lambda v: jnp.linalg.cholesky(v @ v.T + 300 * jnp.eye(300))",
        check="assert isinstance(found, (str, np.ndarray)), found",
    )
