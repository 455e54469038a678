"""Every public name of optax and what anejax.optim says of it, for docs/optim.md: ``python -m tests.parity.optax``."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import anejax.optim
from anejax.absent import GROUPS, Group, group_of

STORED = Path(__file__).parent / "optax-names-0.2.8.json"
PAGE = Path(__file__).parents[2] / "docs" / "optim.md"
SPACES = ("", "losses", "schedules", "transforms")


def names_of_optax() -> dict[str, list[str]]:
    """The public names of the installed optax, by namespace ("" is optax itself)."""
    found = {space: importlib.import_module(f"optax.{space}".rstrip(".")) for space in SPACES}
    return {space: sorted(n for n in dir(module) if not n.startswith("_")) for space, module in found.items()}


def names() -> dict[str, list[str]]:
    """The names that the repository holds."""
    return json.loads(STORED.read_text())


def verdict(space: str, name: str) -> Group | bool:
    """True where anejax.optim has the name, the group that says why where not, False where nobody has said anything."""
    module = getattr(anejax.optim, space) if space else anejax.optim
    return hasattr(module, name) or group_of(f"optim.{space}".rstrip("."), name) or False


_HEAD = """# Optimizers

`anejax.optim` has the names of optax and gives the same numbers. A program that uses optax runs if you write
`from anejax import optim as optax`.

```python
import anejax as aj, anejax.numpy as jnp
from anejax import optim

opt = optim.chain(optim.clip_by_global_norm(1.0), optim.adafactor(optim.cosine_decay_schedule(1e-2, 1000)))
params = {"w": jnp.ones((256, 256))}
state = opt.init(params)
updates, state = opt.update({"w": jnp.ones((256, 256))}, state, params)
params = optim.apply_updates(params, updates)
```

The tests compare each optimizer with optax step by step (`tests/optim`), eagerly and jitted. If a transformation needs
more than gradients, pass the rest by name: `opt.update(grads, state, params, value=loss)`. After
`anejax.compat.install()` the optax package itself also runs on anejax ([page](compat.md)).

`python -m tests.parity.optax` generates the rest of this page from the names of optax 0.2.8, and a test checks that it
is up to date. The column "yes" counts the names that anejax has, and "refused" the names that raise an error which
says why.

"""


def markdown() -> str:
    """The page docs/optim.md."""
    lines = ["| namespace | yes | refused |", "|---|---|---|"]
    found = {space: {n: verdict(space, n) for n in listed} for space, listed in names().items()}
    for space, verdicts in found.items():
        yes = sum(v is True for v in verdicts.values())
        lines.append(f"| `optax.{space}` | {yes} | {len(verdicts) - yes} |".replace(".`", "`"))
    lines += ["", "## Refused"]
    for group in GROUPS:
        parts = {s: [n for n, v in verdicts.items() if v is group] for s, verdicts in found.items()}
        if any(parts.values()):
            lines += ["", f"**{group.why[0].upper()}{group.why[1:]}.** Instead, {group.instead}.", ""]
            lines += [
                f"- `optax.{s}`: {' '.join(f'`{n}`' for n in p)}".replace(".`", "`") for s, p in parts.items() if p
            ]
    lines += ["", "## Yes"]
    for space, verdicts in found.items():
        lines += ["", f"### `optax.{space}`".replace(".`", "`"), ""]
        lines.append(" ".join(f"`{n}`" for n, v in verdicts.items() if v is True))
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    STORED.write_text(json.dumps(names_of_optax(), indent=0) + "\n")
    PAGE.write_text(markdown())
