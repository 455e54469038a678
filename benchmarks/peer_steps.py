"""One framework's training step, timed on request: what benchmarks/peers.py starts in that framework's environment.

    python -m benchmarks.peer_steps FRAMEWORK WORKLOAD

Prints a line of JSON with the version and the first losses, then, for each number of steps that it reads from its
input, the seconds that one step took. A step is forward, loss, backward and the update, float32, ended when the loss is
there. Only the framework itself and NumPy are imported.
"""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.versus_jax import WORKLOADS, JaxStepper, seconds

FIRST = 3  # steps whose losses all frameworks must agree on


def anejax_stepper(workload: Any) -> Any:
    from benchmarks.adapter import Stepper

    return Stepper(workload)


class TorchStepper:
    """The step in PyTorch with its fused optimizer, the loss compiled or not."""

    def __init__(self, w: Any, compiled: bool) -> None:
        import torch  # pyright: ignore[reportMissingImports]
        from torch.nn import functional as F  # pyright: ignore[reportMissingImports]

        torch.set_num_threads(2)
        turned = {k: v.T.copy() if v.ndim == 2 else v for k, v in w.params.items()}  # F.linear takes [out, in]
        p = {k: torch.nn.Parameter(torch.from_numpy(v.copy())) for k, v in turned.items()}
        make = torch.optim.Adam if w.opt["kind"] == "adam" else torch.optim.AdamW
        self._optimizer = make(p.values(), lr=w.opt["lr"], betas=(w.opt["b1"], w.opt["b2"]), eps=w.opt["eps"],
                               weight_decay=w.opt["wd"], fused=True)  # fmt: skip

        def mlp(x: Any) -> Any:
            layers = len(w.cfg["dims"]) - 1
            for i in range(layers):
                x = F.linear(x, p[f"l{i}.w"], p[f"l{i}.b"])
                x = F.relu(x) if i < layers - 1 else x
            return x

        def cnn(x: Any) -> Any:
            layer = lambda name, x: F.relu(F.conv2d(x, p[name + ".w"], p[name + ".b"], padding=1))  # noqa: E731
            x = F.max_pool2d(layer("c1", layer("c0", x)), 2)
            x = F.max_pool2d(layer("c3", layer("c2", x)), 2).mean((2, 3))
            x = F.relu(F.linear(x, p["f0.w"], p["f0.b"]))
            return F.linear(x, p["f1.w"], p["f1.b"])

        network = {"mlp": mlp, "cnn": cnn}[w.model]
        loss = lambda x, y: F.cross_entropy(network(x), y)  # noqa: E731
        self._loss = torch.compile(loss) if compiled else loss
        self._data = torch.from_numpy(w.x), torch.from_numpy(w.y.astype(np.int64))

    def step(self) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(*self._data)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())


class MlxStepper:
    """The step in MLX, the whole of it compiled; images in NHWC, the only layout that it has."""

    def __init__(self, w: Any) -> None:
        import mlx.core as mx  # pyright: ignore[reportMissingImports]
        import mlx.nn as nn  # pyright: ignore[reportMissingImports]
        import mlx.optimizers as optimizers  # pyright: ignore[reportMissingImports]

        o = w.opt
        extra = {} if o["kind"] == "adam" else {"weight_decay": o["wd"]}
        make = optimizers.Adam if o["kind"] == "adam" else optimizers.AdamW
        tx = make(learning_rate=o["lr"], betas=[o["b1"], o["b2"]], eps=o["eps"], bias_correction=True, **extra)
        p = {k: mx.array(v.transpose(0, 2, 3, 1) if v.ndim == 4 else v) for k, v in w.params.items()}

        def mlp(p: Any, x: Any) -> Any:
            layers = len(w.cfg["dims"]) - 1
            for i in range(layers):
                x = x @ p[f"l{i}.w"] + p[f"l{i}.b"]
                x = nn.relu(x) if i < layers - 1 else x
            return x

        def cnn(p: Any, x: Any) -> Any:
            layer = lambda name, x: nn.relu(mx.conv2d(x, p[name + ".w"], padding=1) + p[name + ".b"])  # noqa: E731
            pool = nn.MaxPool2d(2, 2)
            x = pool(layer("c3", layer("c2", pool(layer("c1", layer("c0", x)))))).mean((1, 2))
            return nn.relu(x @ p["f0.w"] + p["f0.b"]) @ p["f1.w"] + p["f1.b"]

        network = {"mlp": mlp, "cnn": cnn}[w.model]
        loss = lambda p, x, y: nn.losses.cross_entropy(network(p, x), y, reduction="mean")  # noqa: E731
        tx.init(p)

        def step(p: Any, s: Any, x: Any, y: Any) -> Any:
            value, grads = mx.value_and_grad(loss)(p, x, y)
            tx.state = s
            p = tx.apply_gradients(grads, p)
            return p, tx.state, value

        self._state: Any = (p, tx.state)
        self._step, self._evaluate = mx.compile(step), mx.eval
        self._data = mx.array(w.x.transpose(0, 2, 3, 1) if w.x.ndim == 4 else w.x), mx.array(w.y)

    def step(self) -> float:
        p, s, value = self._step(*self._state, *self._data)
        self._evaluate(p, s, value)
        self._state = (p, s)
        return float(value.item())


# framework -> (the package whose version is told, its step)
FRAMEWORKS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "anejax": ("anejax", anejax_stepper),
    "jax": ("jax", JaxStepper),
    "torch": ("torch", lambda w: TorchStepper(w, compiled=False)),
    "torch-compile": ("torch", lambda w: TorchStepper(w, compiled=True)),
    "mlx": ("mlx", MlxStepper),
}


def main() -> None:
    framework, workload = sys.argv[1:]
    package, make = FRAMEWORKS[framework]
    stepper = make(WORKLOADS[workload]())
    losses = [stepper.step() for _ in range(FIRST)]
    print(json.dumps({"version": importlib.metadata.version(package), "losses": losses}), flush=True)
    for line in itertools.takewhile(str.strip, sys.stdin):
        print(json.dumps(seconds(stepper, int(line))), flush=True)


if __name__ == "__main__":
    main()
