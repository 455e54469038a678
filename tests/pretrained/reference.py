"""What transformers computes; only for the environment of ``make models-check``, which has it.

``python -m tests.pretrained.reference`` writes the fixtures.
"""

from __future__ import annotations

import importlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from tests.pretrained import cases

torch: Any = importlib.import_module("torch")
transformers: Any = importlib.import_module("transformers")
transformers.logging.set_verbosity_error()


def outputs(folder: Path, name: str) -> dict[str, np.ndarray]:
    """What the model in ``folder`` gives for the inputs of a case, by output."""
    model = getattr(transformers, cases.CASES[name].model).from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        found = model(**{n: torch.from_numpy(x) for n, x in cases.inputs(name).items()})
    return {n: x.float().numpy() for n, x in found.items() if isinstance(x, torch.Tensor)}


def make(name: str, into: Path) -> None:
    """Writes the fixture of a case into the folder ``into``."""
    case = cases.CASES[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = getattr(transformers, case.config)(**case.values)
        getattr(transformers, case.model)(config).save_pretrained(folder)
        arrays = safetensors.numpy.load_file(folder / "model.safetensors")
        shapes = {n: list(a.shape) for n, a in sorted(arrays.items())}
        drawn = {n: cases.draw(n, s) for n, s in shapes.items()}
        safetensors.numpy.save_file(drawn, folder / "model.safetensors", {"format": "pt"})
        into.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "config.json", into / "config.json")
        (into / "case.json").write_text(json.dumps({"shapes": shapes}, indent=0) + "\n")
        safetensors.numpy.save_file(outputs(folder, name), into / "answers.safetensors")


def gguf_weights(path: Path, name: str) -> dict[str, np.ndarray]:
    """The weights that transformers reads from a file of GGUF, by its names."""
    model = getattr(transformers, cases.CASES[name].model).from_pretrained(path.parent, gguf_file=path.name)
    return {n: w.float().numpy() for n, w in model.state_dict().items()}


def with_adapter(base: Path, adapter: Path, name: str) -> np.ndarray:
    """The logits of a model with an adapter, as PEFT reads it."""
    peft: Any = importlib.import_module("peft")
    model = getattr(transformers, cases.CASES[name].model).from_pretrained(base, attn_implementation="eager")
    model = peft.PeftModel.from_pretrained(model, adapter).eval()
    with torch.no_grad():
        return model(torch.from_numpy(cases.TOKENS.astype(np.int64))).logits.numpy()


def main() -> None:
    for name in cases.CASES:
        make(name, cases.FIXTURES / name)


def config_of(folder: Path) -> Any:
    """The configuration in a folder, as transformers reads it."""
    return transformers.AutoConfig.from_pretrained(folder)


if __name__ == "__main__":
    main()
