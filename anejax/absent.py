"""Names of jax that anejax lacks, grouped by reason, and the ``__getattr__`` that raises an error with the reason.

A group is *refused* if its names make no sense on this device model, and *planned* if nobody has written them yet.
``tests/parity`` compares every public name of jax with this table and with the package, and writes docs/parity.md.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from anejax.errors import AbsentError


class Group(NamedTuple):
    """Names that are absent for one reason.

    ``names`` maps a module (``""`` is ``anejax`` itself, ``"lax"`` is ``anejax.lax``) to names separated by blanks, or
    patterns such as ``*_p``, which mean whatever fits and is not there.
    """

    why: str  # a sentence without its full stop
    instead: str  # the advice of the error message: a sentence without its full stop
    names: dict[str, str]
    planned: bool = False


GROUPS: tuple[Group, ...] = (
    Group(
        "arrays are whole in every process, and only shard_map and pmap divide work among processes",
        "use shard_map or pmap; leave sharding arguments out, or give an array's own sharding",
        {
            "": """smap Shard set_mesh reshard
                auto_pcast make_array_from_callback make_array_from_process_local_data
                make_array_from_single_device_arrays remove_size_one_mesh_axis_from_type
                get_abstract_mesh get_mesh use_abstract_mesh""",
            "sharding": """AbstractDevice AbstractMesh AxisType ManualAxisType
                UnreducedKind auto_axes explicit_axes get_abstract_mesh get_mesh no_collectives reshard set_mesh
                use_abstract_mesh""",
            "lax": """with_sharding_constraint sharding_constraint_p pcast psend precv psum_scatter_start
                ragged_all_to_all ragged_all_to_all_p""",
            "debug": "inspect_array_sharding visualize_array_sharding visualize_sharding",
        },
    ),
    Group(
        "a native program cannot call Python and wait for its result",
        "split the function around the call, or watch values with anejax.debug.callback",
        {"": "pure_callback", "debug": "breakpoint DebugEffect OrderedDebugEffect"},
    ),
    Group(
        "arrays do not change, and there are no references to memory",
        "use x.at[...] and lax.scan's carry",
        {"": "Ref new_ref empty_ref free_ref freeze ref ds"},
    ),
    Group(
        "compilations are reported in other ways",
        "use log_compiles(), set ANEJAX_DEBUG=graph,mil,plan, or count with anejax.runtime.execute.compile_count()",
        {"": "explain_cache_misses no_execution no_tracing"},
    ),
    Group(
        "rules are set with custom_jvp and custom_vjp",
        "use those, or vjp",
        {"": "ad fwd_and_bwd", "custom_derivatives": "linear_call"},
    ),
    Group(
        "it belongs to XLA and to the formats around it",
        "read a program with jit(f).lower(...).as_text() and write it with anejax.export.coreml",
        {
            "": """ffi interpreters lib jax2tf_associative_scan_reductions api_util version make_user_context
                allow_f16_reductions softmax_custom_jvp experimental cloud_tpu_init collect_profile
                example_libraries extend tools CompilerEffortLevel Inline""",
            "stages": "CompilerOptions",
            "lax": """AccuracyMode Tolerance DotAlgorithm DotAlgorithmPreset RandomAlgorithm rng_bit_generator
                rng_bit_generator_p rng_uniform rng_uniform_p shape_as_value after_all after_all_p create_token
                create_token_p dce_sink dce_sink_p stage stage_p""",
        },
    ),
    Group(
        "there is no transfer, garbage collector or profiler of a remote device to watch",
        "use anejax.profiler.profile, or set ANEJAX_DEBUG=plan",
        {
            "": "array_garbage_collection_guard thread_guard monitoring memory",
            "profiler": """ProfileData ProfileEvent ProfileLine ProfileOptions ProfilePlane ProfileSession
                export_profile_data register_subprocess start_server stop_server""",
        },
    ),
    Group(
        "there is one memory, so nothing can be moved to another",
        "use checkpoint_policies.save_only_these_names",
        {"ad_checkpoint": "Offloadable"},
    ),
    Group(
        "block-scaled 4- and 8-bit products are made for other hardware",
        "use dot_general on float16 or bfloat16",
        {"lax": "scaled_dot", "nn": "scaled_dot_general scaled_matmul get_scaled_dot_general_config"},
    ),
    Group(
        "its dtype is narrower than a device here can store",
        "use int8, uint8, float16 or bfloat16",
        {
            "numpy": """int1 int2 int4 uint1 uint2 uint4 float4_e2m1fn float6_e2m3fn float6_e3m2fn float8_e3m4
                float8_e4m3 float8_e4m3b11fnuz float8_e4m3fn float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz
                float8_e8m0fnu""",
        },
    ),
    Group(
        "random bits are threefry2x32, partitionable, and keys are typed",
        "use anejax.random.key",
        {"": "enable_custom_prng legacy_prng_key debug_key_reuse"},
    ),
    Group(
        "trees are flattened by a separate registry",
        "use register_pytree_node and tree_flatten_with_path",
        {"tree_util": "default_registry flatten_one_level_with_keys"},
    ),
    Group(
        "keys are arrays of one dtype",
        "use key.dtype, and isinstance(key, anejax.random.KeyArray)",
        {"random": "key_dtype Key"},
    ),
    Group(
        "indexing says it all",
        "use x[...] and x.at[...].apply(function)",
        {"lax": "index_take scatter_apply"},
    ),
    Group(
        "it is no primitive here",
        "use the function of that name, which binds other primitives",
        {"lax": "*_p", "lax.linalg": "*_p", "random": "*_p", "custom_derivatives": "*_p", "ad_checkpoint": "*_p"},
    ),
    Group(
        "a name is marked by a primitive, which needs no rule for forward mode",
        "use checkpoint_name",
        {"ad_checkpoint": "checkpoint_name_fwd"},
    ),
    Group(
        "jax has it from version 0.12 on",
        "use min and max, lax.top_k, (1 + x) * (1 - x), numpy.polyval, or -ndtri(x / 2) / sqrt(2)",
        {"numpy": "minmax top_k", "lax": "one_minus_square polynomial", "scipy.special": "erfcinv"},
        planned=True,
    ),
    Group(
        "no one formula keeps the digits of a hypergeometric function for all parameters",
        "use what yours is a case of (gammainc, betainc, erf, dawsn, expn, spence), or scipy.special outside of jit",
        {"scipy.special": "hyp1f1 hyp2f1"},
    ),
    Group(
        "special functions are real here, and its values are complex",
        "use scipy.special outside of jit",
        {"scipy.special": "sph_harm_y"},
    ),
    Group(
        "LAPACK is the one implementation, and only whole factorizations have derivatives",
        "use qr, svd, eigh, eig, schur, cholesky or anejax.numpy.linalg.solve",
        {
            "lax.linalg": """EigImplementation EighImplementation SvdAlgorithm cholesky_update hessenberg
                householder_product ormqr qdwh symmetric_product tridiagonal tridiagonal_solve""",
            "scipy.linalg": "hessenberg",
        },
    ),
    Group(
        "conversions from complex to real numbers take the real part and do not warn",
        "take x.real where that is meant",
        {"numpy": "ComplexWarning"},
    ),
    Group(
        "a line search computes the loss again within an update",
        "use anejax.scipy.optimize.minimize, or optax itself after anejax.compat.install()",
        {
            "optim": """lbfgs scale_by_lbfgs scale_by_backtracking_linesearch scale_by_zoom_linesearch
                ZoomLinesearchInfo ScaleByLBFGSState ScaleByBacktrackingLinesearchState ScaleByZoomLinesearchState
                value_and_grad_from_state"""
        },
    ),
    Group(
        "schedules are functions of the step alone",
        "use inject_hyperparams, whose state.hyperparams can be written between steps",
        {
            "optim": "inject_stateful_hyperparams InjectStatefulHyperparamsState WrappedSchedule",
            "optim.schedules": """inject_stateful_hyperparams InjectStatefulHyperparamsState WrappedSchedule
                StatefulSchedule""",
        },
    ),
    Group(
        "it is a tool beside the optimizers, or one of their experiments",
        "use optax itself: after anejax.compat.install() it computes with anejax",
        {
            "optim": """assignment contrib experimental microbatch microbatching perturbations projections second_order
                tree tree_utils""",
            "optim.losses": """binary_dice_loss dice_loss make_fenchel_young_loss multiclass_generalized_dice_loss
                multiclass_hinge_loss multiclass_perceptron_loss multiclass_sparsemax_loss ranking_softmax_loss
                sparsemax_loss triplet_margin_loss""",
        },
    ),
)


def group_of(module: str, name: str) -> Group | None:
    """The first group that ``module`` (without ``anejax.``) and ``name`` belong to."""
    return next((g for g in GROUPS if any(fnmatchcase(name, p) for p in g.names.get(module, "").split())), None)


def getattr_of(module: str, lazy: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """The ``__getattr__`` of ``module`` (``__name__``): raises AbsentError with reason and replacement.

    ``lazy`` has the names of submodules, and of their contents, that are imported at their first use, since
    importing them takes a while and few programs use them: name -> ``submodule`` or ``submodule:name``.
    """
    inner = module.partition(".")[2]
    later = lazy or {}

    def __getattr__(name: str) -> Any:
        if name in later:
            where, _, what = later[name].partition(":")
            found = importlib.import_module(f"{module}.{where}")
            found = getattr(found, what) if what else found
            setattr(sys.modules[module], name, found)
            return found
        group = group_of(inner, name)
        if group is None or name.startswith("_"):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        there = "is not there yet" if group.planned else "is not supported"
        raise AbsentError(f"[{module}] {name} {there}: {group.why}. Instead, {group.instead}.")

    return __getattr__
