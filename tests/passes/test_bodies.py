"""Programs with loops: what stands beside and inside a loop is compiled as without one."""

import numpy as np

import anejax as aj
import anejax.numpy as jnp
from anejax import lax


def test_gathers_and_convolutions_beside_and_inside_a_scan():
    """Their dimension numbers are named tuples, and stay such."""
    table, index = np.arange(12, dtype=np.float32).reshape(6, 2), np.int32([4, 0, 5])

    def f(table, index):
        first = jnp.take(table, index, axis=0)
        carry, rows = lax.scan(lambda c, i: (c + table[i], jnp.convolve(c, table[i])), jnp.zeros(2), index)
        return first, carry, rows

    first, carry, rows = aj.jit(f)(table, index)
    expected, total = [], np.zeros(2, np.float32)
    for i in index:
        expected.append(np.convolve(total, table[i]))
        total = total + table[i]
    assert np.array_equal(first, table[index]) and np.array_equal(carry, total) and np.array_equal(rows, expected)
