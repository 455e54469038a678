"""Specs of corners: axes of length 1 in lax, typed keys, and second derivatives where elements tie or kinks are."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tests.generated.draw import FLOATS, INTS, NUMBERS, Call, Draw
from tests.generated.samplers import key_of
from tests.generated.spec import Build, spec

# --- axes of length 1, which binary functions of lax stretch ----------------------------------------------------------


def _stretched(dtypes: Any, low: float = -3, high: float = 3) -> Build:
    def build(d: Draw, name: str) -> Call:
        dtype = d.dtype(dtypes)
        pairs = (
            ((3, 1), (1, 4)),
            ((1,), (7,)),
            ((2, 1, 3), (2, 4, 1)),
            ((1, 1), (0, 3)),
            ((3, 4), (1, 4)),
            ((1,), (1,)),
        )
        shapes = d.pick(*pairs)
        return d.call(name.partition("~")[0], *(d.array(s, dtype, low, high) for s in shapes[:: d.pick(1, -1)]))

    return build


VALUE: dict[str, Any] = {"size": "value"}
spec("lax.add~ones mul~ones div~ones max~ones lt~ones", _stretched(NUMBERS), **VALUE)
spec("lax.pow~ones atan2~ones", _stretched(FLOATS, 0.5), **VALUE)
spec("lax.bitwise_and~ones shift_left~ones", _stretched(INTS, 0, 7), **VALUE)

# --- typed keys -------------------------------------------------------------------------------------------------------


def _drawn(d: Draw, name: str) -> Call:
    """A sampler, of a typed key."""
    path, shape = name.partition("~")[0], d.shape(0, 2)
    of = lambda m, words: operator.attrgetter(path)(m)(m.random.wrap_key_data(words), shape=shape)  # noqa: E731
    return d.call(f"{name} {shape}", key_of(d), of=of)


def _moved(*args: Any, **kwargs: Any) -> Build:
    """A function that moves elements, of an array of typed keys: the words of what it gives."""

    def build(d: Draw, name: str) -> Call:
        path = name.partition("~")[0]
        words = d.rng.integers(0, 2**32, (*d.pick((3,), (2, 3), (1, 2)), 2), dtype=np.uint32)

        def of(m: Any, words: Any) -> Any:
            keys = m.random.wrap_key_data(words)
            out = operator.attrgetter(path)(m)(keys, *args, **kwargs)
            return m.random.key_data(out) if m.np.issubdtype(out.dtype, m.t.dtypes.prng_key) else out

        return d.call(f"{name} {args} {kwargs}", words, of=of)

    return build


def _mapped(d: Draw, name: str) -> Call:
    """Samples of each key of an array, through a tree that holds them."""
    words = d.rng.integers(0, 2**32, (3, 2), dtype=np.uint32)

    def of(m: Any, words: Any) -> Any:
        tree = {"b": m.random.wrap_key_data(words), "a": m.np.arange(3.0)}
        drawn = m.t.vmap(lambda t: m.random.normal(t["b"], (2,)) + t["a"])(tree)
        return drawn, m.random.key_data(m.t.tree.map(lambda x: x[::-1], tree)["b"])

    return d.call(name, words, of=of)


def _compared(d: Draw, name: str) -> Call:
    words = d.rng.integers(0, 2, (2, 3, 2)).astype(np.uint32)

    def of(m: Any, x: Any, y: Any) -> Any:
        return m.np.equal(*map(m.random.wrap_key_data, (x, y)))

    return d.call(name, words[0], words[1], of=of)


spec("random.normal~keys uniform~keys bits~keys", _drawn, size="one", ulps=16)
spec("np.roll~keys", _moved(1))
spec("np.flip~keys ravel~keys squeeze~keys atleast_2d~keys", _moved())
spec("np.expand_dims~keys", _moved(0))
spec("np.equal~keys", _compared)
spec("lax.rev~keys", _moved((0,)))
spec("random.normal~mapped", _mapped, size="one", ulps=16)

# --- second derivatives where elements tie, at kinks and zeros --------------------------------------------------------


def _tied(*shapes: tuple[int, ...], **kwargs: Any) -> Build:
    """Of small whole numbers, squared in one half of the cases, so that second derivatives are not all 0."""

    def build(d: Draw, name: str) -> Call:
        path, square = name.partition("~")[0], d.flag()
        count = 2 if path.rpartition(".")[2] in ("maximum", "minimum") else 1
        xs = [d.rng.integers(-1, 3, d.pick(*shapes)).astype(np.float32) for _ in range(count)]

        def of(m: Any, *xs: Any) -> Any:
            out = operator.attrgetter(path)(m)(*(x * x if square else x for x in xs), **kwargs)
            return out * m.np.sin(out)

        return d.call(f"{name} {square} {kwargs}", *xs, of=of)

    return build


SHAPES = (4,), (2, 3), (1,)
TIES: dict[str, Any] = {"second": True, "slope_ulps": 64}
spec("np.max~ties ptp~ties median~ties", _tied(*SHAPES), **TIES)
spec("np.min~ties sort~ties", _tied(*SHAPES, axis=-1), **TIES)
spec("np.maximum~ties minimum~ties", _tied((4,)), **TIES)
spec("np.abs~ties", _tied(*SHAPES), **TIES)
spec("np.clip~ties", _tied(*SHAPES, min=0.0, max=1.0), **TIES)
spec("np.quantile~ties", _tied((4,), q=0.3), **TIES)
spec("nn.relu~ties leaky_relu~ties elu~ties hard_tanh~ties", _tied(*SHAPES), **TIES)
spec("nn.relu6~ties selu~ties celu~ties hard_sigmoid~ties hard_silu~ties", _tied(*SHAPES), composed=True, **TIES)
spec("lax.cummax~ties", _tied((4,)), **TIES)
spec("nn.logsumexp~ties", _tied(*SHAPES), **TIES)
