"""Every public function has a spec, or a reason here why it has none."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import pytest

import anejax.numpy
from anejax.core.primitive import REGISTRY
from tests.generated.catalogue import SPECS
from tests.generated.libraries import JAX, OURS
from tests.generated.test_distributions import DISTRIBUTIONS
from tests.op_samples import HIGHER_ORDER, ROWS

SCALAR_TYPE = type(anejax.numpy.float32)
_NAMESPACES = (
    "np np.linalg np.fft lax nn random scipy.special scipy.linalg scipy.stats scipy.cluster.vq scipy.fft"
    " scipy.integrate scipy.ndimage scipy.optimize scipy.signal scipy.sparse.linalg"
)
ROOTS = {name: operator.attrgetter(name)(OURS) for name in _NAMESPACES.split()}
ROOTS |= {
    f"scipy.stats.{name}": law
    for name, law in vars(OURS.scipy.stats).items()
    if inspect.ismodule(law) and hasattr(JAX.scipy.stats, name)
}
_FILES = "input and output, or printing: tests/numpy has it"
_TYPES = "about dtypes, not arrays: tests/numpy/test_promotion.py and tests/numpy have it"
_OTHER = "takes functions or objects: tests/numpy/test_table.py has it"
_CONTROL = "control flow: in the programs of tests/generated/programs.py, and tests/ops has it"
_CONV = "conv_general_dilated with defaults: tests/numpy/test_lax.py has it"
_KEYS = "about keys: tests/random/test_keys.py has it"
_THIN = "another function by a second name or order: tests/numpy/test_lax.py has it"
_COMPLEX = "complex numbers: tests/numpy/test_complex.py and tests/numpy/test_fft.py have it"
_ONE_MATRIX = "of other factorizations: tests/numpy/test_linalg.py has it"
_EIGEN = "of general matrices: tests/numpy/test_linalg_complex.py has it"
_VECTORS = "of vectors: tests/scipy/test_laws.py has it"
_ONE = "one configuration: tests/numpy/test_table.py has it"

_WITHOUT: dict[str, list[tuple[str, str]]] = {  # namespace -> (reason, names)
    "np": [
        (_FILES, "array_repr array_str fromfile fromiter fromstring frombuffer from_dlpack load save savez "
         "get_printoptions set_printoptions printoptions"),
        (_TYPES, "can_cast promote_types result_type isdtype issubdtype isscalar iterable finfo iinfo"),
        (_OTHER, "apply_along_axis apply_over_axes frompyfunc vectorize fromfunction mask_indices"),
        ("their results are a tuple, or have no order: tests/numpy/test_polynomials.py has it", "polyfit roots"),
        (_ONE, "compress histogram2d histogramdd poly polydiv einsum_path broadcast_shapes sort_complex"),
    ],
    "np.linalg": [
        (_ONE_MATRIX, "cond lstsq matrix_norm matrix_rank svd tensorinv tensorsolve vector_norm"),
        (_THIN, "cross tensordot vecdot"),
        (_EIGEN, "eig eigvals"),
    ],
    "lax": [
        ("of several cases: tests/numpy/test_lax_ragged.py has it",
         "conv_general_dilated_local ragged_dot ragged_dot_general"),
        (_COMPLEX, "complex conj fft imag real"),
        ("jax does not batch it: tests/transforms/test_collectives.py has it", "pbroadcast"),
        ("a decorator: tests/transforms/test_composite.py has it", "composite"),
        (_THIN, "approx_max_k approx_min_k conv_general_dilated_patches conv_general_shape_tuple "
         "conv_transpose_shape_tuple conv_general_permutations dtype platform_dependent reduce_window_shape_tuple"),
        ("solvers of the user's: tests/api/test_implicit.py has it", "custom_linear_solve custom_root"),
        (_CONTROL, "associative_scan cond fori_loop map scan switch while_loop"),
        (_CONV, "conv conv_dimension_numbers conv_shape_tuple conv_transpose conv_with_general_padding "
         "padtype_to_pads"),
        (_THIN, "broadcast_like broadcast_shapes broadcast_to_rank empty round sort_key_val stack unstack"),
    ],
    "scipy.linalg": [
        ("of lengths or vectors: tests/scipy/test_structured.py has it",
         "circulant companion convolution_matrix dft fiedler fiedler_companion hadamard hankel helmert hilbert "
         "invhilbert invpascal leslie pascal"),
        ("of other factorizations: tests/scipy/test_structured.py has it",
         "eigh_tridiagonal expm_frechet polar qr_multiply solve_sylvester"),
        (_EIGEN, "funm rsf2csf schur sqrtm"),
    ],
    "scipy.stats": [("of samples: tests/scipy/test_ranks.py has it", "mode rankdata sem")],
    "scipy.stats.dirichlet": [(_VECTORS, "logpdf pdf")],
    "scipy.stats.multinomial": [(_VECTORS, "logpmf pmf")],
    "scipy.stats.multivariate_normal": [(_VECTORS, "logpdf pdf")],
    "scipy.optimize": [("of functions: tests/scipy/test_optimize.py has it", "minimize")],
    "scipy.sparse.linalg": [("of certain matrices: tests/scipy/test_sparse.py has it", "bicgstab cg gmres")],
    "random": [
        (_KEYS, "PRNGKey clone key key_data key_impl wrap_key_data"),
    ],
}  # fmt: skip
_OTHERWISE = [  # samplers that tests/generated/test_distributions.py leaves out
    ("the bits of jax.random", "bits split fold_in bernoulli categorical choice permutation rademacher randint"),
    ("vectors and matrices: their specs compare them with jax, tests/random has their laws",
     "ball dirichlet multinomial multivariate_normal orthogonal"),
    ("another sampler with a sign, scaled", "double_sided_maxwell"),
]  # fmt: skip
WITHOUT = {f"{root}.{n}" for root, groups in _WITHOUT.items() for _, names in groups for n in names.split()}


def public(root: Any) -> list[str]:
    """The functions of a namespace that are jax's names; types, submodules and our own imports are not."""
    plain = lambda v: callable(v) and not inspect.isclass(v) and not isinstance(v, SCALAR_TYPE)  # noqa: E731
    return [k for k, v in vars(root).items() if not k.startswith("_") and plain(v)]


def named(root: str) -> set[str]:
    theirs = dir(operator.attrgetter(root)(JAX))
    return {f"{root}.{n}" for n in public(ROOTS[root]) if n in theirs}


@pytest.mark.parametrize("root", ROOTS)
def test_every_function_has_a_spec(root: str) -> None:
    missing = named(root) - set(SPECS) - WITHOUT
    assert not missing, f"write a spec in tests/generated, or a reason here, for {sorted(missing)}"


def test_reasons_are_needed() -> None:
    assert not WITHOUT & set(SPECS)
    assert set().union(*map(named, ROOTS)) >= WITHOUT


def test_every_sampler_is_held_to_its_distribution() -> None:
    samplers = {n.removeprefix("random.") for n in named("random") - WITHOUT}
    elsewhere = {n for _, names in _OTHERWISE for n in names.split()}
    assert not elsewhere & set(DISTRIBUTIONS)
    assert samplers == elsewhere | set(DISTRIBUTIONS)


def test_every_primitive_is_generated_or_sampled() -> None:
    """Primitives by their own names: each has a row of samples, which tests/ops transforms in every way."""
    assert set(REGISTRY) - HIGHER_ORDER == set(ROWS)
