# pyright: reportArgumentType=false
"""DLPack as the Array API standard of 2024 has it, with NumPy and jax on the other side."""

from __future__ import annotations

import gc

import jax.numpy
import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.dlpack import is_supported_dtype

DTYPES = ["bool", "int8", "int32", "uint8", "uint32", "float16", "float32", "complex64"]
SHAPES = [(), (0,), (7,), (3, 1), (2, 0, 3), (5, 3, 2)]
READ_ONLY, COPIED = 1, 2  # DLPACK_FLAG_BITMASK_READ_ONLY and _IS_COPIED of dlpack.h


def array(shape, dtype):
    return jnp.asarray(np.random.default_rng(len(shape)).integers(0, 2, shape).astype(dtype))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_memory_is_shared_read_only_or_copied(dtype, shape):
    x = array(shape, dtype)
    assert is_supported_dtype(dtype) and x.__dlpack_device__() == (1, 0)
    shared, copied = np.from_dlpack(x), np.from_dlpack(x, copy=True)
    for out in (shared, copied, np.from_dlpack(x, copy=False), np.from_dlpack(x, device="cpu")):
        assert out.dtype == dtype
        np.testing.assert_array_equal(out, np.asarray(x))
    assert not shared.flags.writeable and copied.flags.writeable
    if x.size:
        assert np.shares_memory(shared, np.asarray(x)) and not np.shares_memory(copied, np.asarray(x))
    for copy in (None, True, False):  # what others hand out
        theirs = jax.numpy.asarray(np.asarray(x))
        np.testing.assert_array_equal(jnp.from_dlpack(theirs, copy=copy), theirs)
        np.testing.assert_array_equal(jnp.from_dlpack(x, copy=copy), x)


def test_of_programs():
    x = aj.jit(lambda v: v * 2)(jnp.arange(5.0))
    shared = np.from_dlpack(x)
    del x
    gc.collect()
    aj.jit(lambda v: v + 1)(jnp.arange(5.0))  # which would take the memory, were it free
    assert shared.tolist() == [0, 2, 4, 6, 8]
    y = jnp.arange(4.0)
    shared = np.from_dlpack(y)
    aj.jit(lambda v: v + 1, donate_argnums=0)(y)
    assert shared.tolist() == [0, 1, 2, 3]


def test_versions():
    x = jnp.arange(3.0)
    for version, kind in ((None, "dltensor"), ((0, 8), "dltensor"), ((1, 0), "dltensor_versioned"),
                          ((1, 1), "dltensor_versioned"), ((2, 0), "dltensor_versioned")):  # fmt: skip
        for copy in (None, True):
            assert f'"{kind}"' in repr(x.__dlpack__(max_version=version, copy=copy, dl_device=(1, 0)))
    with pytest.raises(BufferError, match=r"before 1\.0"):
        x.__dlpack__(copy=False)
    for version in (None, (1, 0)):
        with pytest.raises(BufferError, match="the CPU"):
            x.__dlpack__(max_version=version, dl_device=(2, 0))
        with pytest.raises(ValueError, match="no stream"):
            x.__dlpack__(max_version=version, stream=1)
        with pytest.raises(BufferError, match="bfloat16"):
            jnp.ones(2, "bfloat16").__dlpack__(max_version=version)


class Old:
    """A consumer that knows DLPack before 1.0 only, as NumPy asks it: by no arguments."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **_):
        return self.x.__dlpack__()

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


def test_older_consumers_write_their_own():
    x = jnp.arange(3.0)
    theirs = np.array(np.from_dlpack(Old(x)))
    theirs[:] = 7
    assert x.tolist() == [0, 1, 2] and not np.shares_memory(np.from_dlpack(Old(x)), np.asarray(x))


def test_the_memory_of_others():
    writable = np.arange(6, dtype=np.float32)
    x = jnp.from_dlpack(writable)
    writable[:] = 9
    assert x.tolist() == [0, 1, 2, 3, 4, 5]
    for refused in (writable, np.broadcast_to(np.float32(1), (2, 2)), np.arange(3.0).view()):
        with pytest.raises(BufferError, match=r"\[from_dlpack\]"):
            jnp.from_dlpack(refused, copy=False)
    own = np.arange(6, dtype=np.float32)
    own.flags.writeable = False
    borrowed = jnp.from_dlpack(own, copy=False)
    assert np.shares_memory(np.asarray(borrowed), own) and (borrowed + 1).tolist() == [1, 2, 3, 4, 5, 6]
