"""``import jax`` gives anejax: programs of jax run unchanged in processes of their own; absent names say why."""

import json
import subprocess
import sys
from pathlib import Path

import optax
import pytest

from anejax.compat.modules import SAME
from tests.compat import page
from tests.interop.record import RECORD, UNITS, distance
from tests.parity import table


def run(*arguments, code=0):
    """What a process with anejax as its jax prints."""
    done = subprocess.run([sys.executable, "-m", "anejax.compat", *arguments], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def test_eight_kinds_of_programs_train_as_with_jax():
    """Flax linen and nnx, Equinox, Haiku, optax: tests/interop/programs.py, whose losses by jax are on record."""
    ours = json.loads(run("-m", "tests.compat.losses"))
    assert ours.keys() == RECORD.keys() and len(ours) == 8
    far = {name: distance(name, losses) for name, losses in ours.items()}
    assert max(far.values()) <= UNITS, far


STRICT = """
import jax, jaxlib, jax.numpy as jnp, jax.scipy.stats.norm as norm, sys
from jax import lax, random
from jax.experimental.shard_map import shard_map
assert jax.Array is __import__("anejax").Array and jax.numpy is jnp and jax.__version_info__ >= (0, 10)
assert float(norm.pdf(0.0)) > 0.39 and isinstance(random.normal(random.key(0), (2,)), jax.Array)
x = lax.dot_general(jnp.ones((2, 3)), jnp.ones((3, 2)), (((1,), (0,)), ((), ())), out_sharding=None)
try:
    jax.jit(lambda x: bool(x))(1.0)
except jax.errors.TracerBoolConversionError:
    print("traced")
assert not hasattr(jax, "models") and not hasattr(jax.numpy, "no_such_name")
for statement in sys.argv[1:]:
    try:
        exec(statement)
    except ImportError as err:
        print(err)
    except AttributeError as err:
        print(err)
"""
SAID = {
    "from jax import pure_callback": "jax.pure_callback is not supported: a native program cannot call Python",
    "from jax.numpy import no_such_name": "jax.numpy.no_such_name is not supported: jax has no such public name",
    "import jax.experimental.pallas": "jax.experimental.pallas is not supported: of jax.experimental there are",
    "import jax.numpy.tanh": "jax.numpy.tanh is no module; write from jax.numpy import tanh",
    "import jax.export": "jax.export is not supported: it writes StableHLO",
    "jax.pure_callback": "pure_callback is not supported: a native program cannot call Python",
    "from jax._src.core import Primitive; Primitive('p')": "jax._src.core.Primitive is not supported: it is no public",
    "lax.exp(1.0, accuracy=2)": "expected accuracy=None, got 2",
    "3 in jax._src.tree_util.registry": "jax._src.tree_util.registry is not supported",
}


def test_names_that_are_absent_say_why(tmp_path):
    (tmp_path / "script.py").write_text(STRICT)
    lines = run(str(tmp_path / "script.py"), *SAID).splitlines()
    assert lines[0] == "traced" and len(lines) == len(SAID) + 1
    for line, said in zip(lines[1:], SAID.values()):
        assert said in line


def test_the_command_line_and_a_process_that_has_jax():
    assert "usage" in run(code=2) and "found no nothing.py" in run("nothing.py", code=2)
    late = "import jax, anejax.compat\ntry:\n  anejax.compat.install()\nexcept Exception as e: print(e)"
    out = subprocess.run([sys.executable, "-c", late], capture_output=True, text=True, check=True).stdout
    assert "expected a process without jax, got one that has imported jax" in out


def test_every_public_module_of_jax_is_there():
    spaces = {s.removeprefix("jax.") for s in table.NAMESPACES} - {"jax"}
    assert not {s for s in spaces if not s.startswith("scipy.stats.")} - SAME


def test_the_page_says_what_libraries_miss():
    assert page.PAGE.read_text().endswith(page.MARK + page.made()), "run python -m tests.compat.page"


# these need scikit-learn
LEFT_OUT = ("alias_test", "_schedule_test")
# these need XLA's HLO or the wording of jax's errors; the last holds a small difference of large sums to 1e-6
WORDS = "hlo unsuccessful_broadcast bad_structure ema_match_standard0"
NOT_HERE = " and ".join(f"not {word}" for word in WORDS.split())


@pytest.mark.long
def test_the_tests_of_optax_pass():
    files = [f for f in Path(optax.__file__).parent.rglob("*_test.py") if f.stem not in LEFT_OUT]
    run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "-k", NOT_HERE, *map(str, files))
