"""Rewrites Graphs with complex values to Graphs with pairs of real arrays, because no device has complex numbers.

``pairs`` has the arithmetic of pairs, ``functions`` the elementary functions, ``rules`` one rule for each primitive,
and ``apply`` the pass.
"""

from anejax.passes.complex.apply import has_complex, split_complex

__all__ = ["has_complex", "split_complex"]
