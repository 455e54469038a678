"""Specs: one per public function, saying how its arguments are drawn and how exactly the two libraries agree."""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.generated.draw import Call, Draw, Hypothesis, Seeded

Build = Callable[[Draw, str], Call]


@dataclasses.dataclass(frozen=True)
class Spec:
    """How to test one function.

    Attributes:
        name: where it is, as ``np.linalg.norm``; the roots are ``np lax nn random scipy``. Behind "~" stands of what
            kind the arguments are, where a function has several specs: ``np.exp~complex``.
        build: draws a call of it.
        ulps: greatest distance of float results, in units of eps times the value's size (see ``judge``).
        size: of what size errors are: "value" for elementwise functions, "one" for those of them that pass through 0,
            "exp" for exponentials (see ``judge.exponential``), else "sum": of the sum of all magnitudes.
        oracle: the function in float64, more exact than jax's, which decides where it is finite; of the same arguments.
        slope_ulps: greatest distance of derivatives, in eps times the greatest element: sums of the chain rule.
        slope_error: the relative error of jax's own float64 derivatives, where it is above that of rounding.
        composed: made by a step or two of a function that has a spec, too: in the long profile only.
        second: second derivatives are compared in the short profile too.
        derivatives, mapped, staged: whether jvp and vjp, vmap, and jit are compared; False needs a reason beside it.
    """

    name: str
    build: Build
    ulps: float = 4.0
    size: str = "sum"
    oracle: Callable[..., Any] | None = None
    slope_ulps: float = 16.0
    slope_error: float = 0.0
    composed: bool = False
    second: bool = False
    derivatives: bool = True
    mapped: bool = True
    staged: bool = True

    def example(self) -> tuple[int, Call]:
        """(the seed, a call): the same in every run."""
        return self._call(Draw(Seeded(zlib.crc32(self.name.encode()))))

    def calls(self) -> st.SearchStrategy[tuple[int, Call]]:
        """(the seed, a call). The seed 0 is where shrinking ends and hypothesis starts."""

        @st.composite
        def calls(draw: Any) -> tuple[int, Call]:
            return self._call(Draw(Hypothesis(draw)))

        return calls()

    def _call(self, d: Draw) -> tuple[int, Call]:
        return d.seed, self.build(d, self.name)


SPECS: dict[str, Spec] = {}


def spec(names: str, build: Build, **fields: Any) -> None:
    """Registers one spec for each of the names, which share the prefix of the first: ``"np.sin cos"``."""
    first, *rest = names.split()
    prefix = first.rpartition(".")[0]
    for name in (first, *(f"{prefix}.{r}" for r in rest)):
        assert name not in SPECS, f"two specs for {name}"
        SPECS[name] = Spec(name, build, **fields)
