"""``import jax`` gives anejax: for scripts that were written for jax and use its public names.

Example:
    >>> import anejax.compat
    >>> anejax.compat.install()  # doctest: +SKIP
    >>> import jax, jax.numpy as jnp  # doctest: +SKIP
    >>> jax.grad(jnp.tanh)(0.0)  # doctest: +SKIP
    Array(1., dtype=float32, weak_type=True)

``python -m anejax.compat script.py`` runs a script in that way. Libraries on jax run as far as they keep to public
names: optax does, docs/compat.md has the others.
"""

from __future__ import annotations

import sys

from anejax.compat.modules import Finder
from anejax.errors import AnejaxError

__all__ = [
    "install"
]  # fmt: skip

_finder = Finder()


def install() -> None:
    """Makes ``import jax`` and its modules give anejax in this process. A second call does nothing.

    Raises:
        AnejaxError: jax itself was imported before, by this program or by a library.
    """
    if _finder in sys.meta_path:
        return
    if found := sorted(name for name in sys.modules if name.partition(".")[0] in ("jax", "jaxlib")):
        raise AnejaxError(
            f"[compat] expected a process without jax, got one that has imported {found[0]}. Call"
            " anejax.compat.install() before anything imports jax, or run python -m anejax.compat script.py."
        )
    sys.meta_path.insert(0, _finder)
