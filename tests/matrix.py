"""Runs the tests with each Python, OpenBLAS kernel and number of threads: ``make test-matrix``.

Arguments are given to pytest. Interpreters that are not installed and kernels that the processor cannot run are left
out, and the last lines say so. ``ANEJAX_PYTHONS`` may name more interpreters, separated as PATH is.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
KERNELS = {"": None, "Haswell": "avx2", "SkylakeX": "avx512f"}  # and the instruction set needed; "": OpenBLAS chooses
THREADS = ("1", "2")
NO_TESTS = 5  # pytest's exit code for it


def version_of(python: str) -> str | None:
    """The version as ``3.12``, or None if the interpreter does not start, as an unselected one of pyenv does not."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def interpreters() -> dict[str, str]:
    """Paths of the installed interpreters by version."""
    named = [p for p in os.environ.get("ANEJAX_PYTHONS", "").split(os.pathsep) if p]
    on_path = [p for v in PYTHONS if (p := shutil.which(f"python{v}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    in_pyenv = [str(p) for v in PYTHONS for p in sorted(pyenv.glob(f"{v}.*/bin/python"))]
    found: dict[str, str] = {}
    for python in (*named, *on_path, *in_pyenv, sys.executable):
        version = version_of(python)
        if version is not None:
            found.setdefault(version, python)
    return found


def features() -> set[str]:
    """The processor's instruction sets as Linux names them; none on other systems."""
    info = Path("/proc/cpuinfo")
    return set(info.read_text().split()) if info.exists() else set()


def environment(version: str, python: str) -> Path:
    """A virtual environment with the development dependencies, made by the rules of the Makefile."""
    venv = ROOT / "build" / "matrix" / version
    relative = venv.relative_to(ROOT)
    subprocess.run(["make", f"VENV={relative}", f"PYTHON={python}", f"{relative}/.dev"], cwd=ROOT, check=True)
    return venv


def run(venv: Path, kernel: str, threads: str, arguments: list[str]) -> int:
    settings = dict(os.environ, ANEJAX_NUM_THREADS=threads)
    settings.pop("OPENBLAS_CORETYPE", None)
    if kernel:
        settings["OPENBLAS_CORETYPE"] = kernel
    command = [str(venv / "bin" / "pytest"), "-n", "2", "--dist", "loadfile", "-m", "not long", *arguments]
    return subprocess.run(command, cwd=ROOT, env=settings).returncode


def main(arguments: list[str]) -> int:
    pythons, able = interpreters(), features()
    kernels = [k for k, need in KERNELS.items() if need is None or need in able]
    lines = [f"skipped: Python {v} is not installed" for v in PYTHONS if v not in pythons]
    lines += [f"skipped: OPENBLAS_CORETYPE={k} needs {need}" for k, need in KERNELS.items() if k not in kernels]
    failed = False
    for version in [v for v in PYTHONS if v in pythons]:
        venv = environment(version, pythons[version])
        for kernel, threads in itertools.product(kernels, THREADS):
            code = run(venv, kernel, threads, arguments)
            verdict = "passed" if code == 0 else "no tests" if code == NO_TESTS else "FAILED"
            failed |= code != 0
            lines.append(f"{verdict}: Python {version}, OPENBLAS_CORETYPE={kernel}, ANEJAX_NUM_THREADS={threads}")
            print(lines[-1], flush=True)
    print("\n".join(lines))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
