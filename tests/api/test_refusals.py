# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false
"""What jax refuses is refused, with an error that says what to write instead; what it takes beside it still works."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax

A = jnp.arange(6.0).reshape(2, 3)
REFUSED = {
    "complex bounds": (lambda: jnp.arange(3 + 0j), r"\[arange\] expected real bounds"),
    "a matrix as a set": (lambda: 3 in A, r"\[contains\] expected an array of rank 1"),
    "float positions": (lambda: lax.argmax(A, 0, "float32"), r"\[argmax\] expected an index_dtype of integers"),
    "negative unroll": (lambda: lax.scan(lambda c, x: (c, x), 0, A, unroll=-1), r"\[scan\] expected unroll"),
    "unroll in words": (lambda: lax.fori_loop(0, 3, lambda i, c: c, 0, unroll="x"), r"\[fori_loop\] expected unroll"),
    "halves of padding": (lambda: jnp.pad(A, 1.5), r"\[pad\] expected integers"),
    "halves of decimals": (lambda: jnp.round(A, 1.5), "integer"),
    "complex Bessel": (lambda: jnp.i0(1j), r"\[i0\] expected real numbers"),
    "one length": (lambda: jnp.indices(3), r"\[indices\] expected a sequence"),
    "two bounds": (lambda: jnp.clip(A, min=2, a_min=1), r"\[clip\]"),
    "four summands": (lambda: jnp.add(1, 2, 3, 4), r"\[add\] expected two arguments"),
    "a foreign dialect": (lambda: aj.jit(jnp.sin).lower(A).compiler_ir("hlo"), "StableHLO and HLO are XLA's"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_jax_refuses(name):
    call, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_what_jax_takes_beside_it():
    assert 3 in A[1] and 7 not in A[1]
    assert jnp.arange(3, dtype=complex).dtype == "complex64"
    assert lax.argmax(A, 0, "int8").dtype == "int8"
    assert lax.scan(lambda c, x: (c + x, x), 0.0, A[0], unroll=True)[0] == 3
    assert lax.fori_loop(0, jnp.int8(3), lambda i, c: c + i, jnp.int8(0)) == 3
    np.testing.assert_array_equal(jnp.clip(A, a_min=2, a_max=3), np.clip(A, 2, 3))


def test_what_is_lowered_tells_its_program_and_cost():
    lowered = aj.jit(lambda x: x + 1).lower(A)
    assert lowered.compiler_ir() == lowered.as_text() and lowered.compiler_ir("graph") is lowered.graph.graph
    assert lowered.cost_analysis() == lowered.compile().cost_analysis()
    aval: Any = aj.typeof(A)
    assert aval.sharding == A.sharding


@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
def test_loops_of_unknown_length_print_in_their_turns(jit, capsys):
    def f(n):
        def body(c):
            aj.debug.print("turn {}", c)
            return c + 1

        def outer(total, x):
            return lax.while_loop(lambda c: c < x, body, total), x

        return lax.scan(outer, jnp.int32(0), jnp.stack([n, n + 1]))[0] * 2

    g = jit(f)
    for _ in range(2):  # the first call stages
        assert g(jnp.int32(2)) == 6
        aj.effects_barrier()
        assert capsys.readouterr().out == "turn 0\nturn 1\nturn 2\n"
    with pytest.raises(NotImplementedError, match="compiled program"):
        aj.jit(f).lower(jnp.int32(2)).compile()
