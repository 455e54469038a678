"""Complex numbers on devices that have none: Graphs of complex values as Graphs of pairs of real arrays.

``pairs`` has the arithmetic of pairs, ``functions`` the elementary functions, ``rules`` a rule per primitive, and
``apply`` the pass.
"""

from anejax.passes.complex.apply import has_complex, split_complex

__all__ = ["has_complex", "split_complex"]
