"""Memory of the library: small pieces are used again, within bounds; large ones go back at once."""

import gc
import threading

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax.runtime import library


def kept_bytes() -> int:
    return sum(nbytes * len(pieces) for nbytes, pieces in library._kept.items())


def test_small_memory_is_used_again():
    full = len(library._kept) >= library.KEPT_SIZES  # by what other tests of this process did: then a size of theirs
    nbytes = max(library._kept) if full else 1000
    (first,), (address,) = library.create_buffers([nbytes])
    (other,), (elsewhere,) = library.create_buffers([nbytes])
    assert first.pointer == address != elsewhere
    del first
    assert library.create_buffers([nbytes])[1] == [address]
    assert library.create_buffers([nbytes + 8])[1] != [address]
    del other


def test_memory_that_is_looked_at_is_not_used_again():
    view = np.asarray(aj.jit(lambda x: x + 1)(jnp.ones(250)))
    others = [aj.jit(lambda x: x + 2)(jnp.ones(250)) for _ in range(3)]
    assert (view == 2).all() and all((np.asarray(o) == 3).all() for o in others)


def test_what_is_kept_is_bounded():
    for nbytes in (1, 64, 4096, library.SMALL, library.SMALL + 1, library.RELEASE_AT_ONCE):
        buffers, addresses = library.create_buffers([nbytes] * 300)
        assert len(set(addresses)) == 300 and all(a % 64 == 0 for a in addresses)
        del buffers
        assert nbytes * len(library._kept.get(nbytes, ())) <= library.KEPT_PER_SIZE
    for nbytes in range(8, 8 * (library.KEPT_SIZES + 20), 8):
        library.create_buffers([nbytes])
    assert len(library._kept) <= library.KEPT_SIZES
    assert kept_bytes() <= library.KEPT_SIZES * library.KEPT_PER_SIZE
    assert library.SMALL + 1 not in library._kept


def test_many_threads_share_what_is_kept():
    wrong = []

    def work(number: int) -> None:
        add = aj.jit(lambda x: x + number)
        for _ in range(200):
            out = [add(jnp.zeros(16)) for _ in range(5)]
            if not all((np.asarray(o) == number).all() for o in out):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    gc.collect()
    assert not wrong
