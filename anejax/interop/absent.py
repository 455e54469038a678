"""Primitives of jax that have no rule: patterns of names, with the reasons that errors and docs/from_jax.md give."""

from __future__ import annotations

from fnmatch import fnmatchcase

# (patterns of names, the reason)
REASONS = (
    (
        "all_gather* all_to_all* axis_index core_map custom_partitioning inspect_sharding pbroadcast_* pmax pmin"
        " ppermute* precv preduced psend psum* ragged_all_to_all reduce_scatter* reduced_vary_cast* shard_map"
        " unreduced_* vary_unreduced_cast* *_array_to_*_array",
        "it works across devices, of which there is one; give the axis to jax.vmap inside the function",
    ),
    (
        "accum_grad_in_ref addupdate box_* empty_ref free_ref freeze get log_* new_box new_log new_ref pin run_state"
        " swap unpin",
        "it reads or changes a mutable reference, and arrays do not change here; carry the state through scan",
    ),
    ("bcoo_* bcsr_* coo_* csr_* spsolve todense", "arrays are dense here; use todense() before"),
    (
        "cudnn_fusion dot_product_attention_* scaled_dot scaled_matmul*",
        "it is a kernel for NVIDIA's GPUs; use jax.nn.dot_product_attention or jax.numpy.matmul for any device",
    ),
    ("io_callback pure_callback", "programs call Python only to look at values (jax.debug.callback)"),
    ("call_exported call_hi_primitive_linearized ffi_call stage", "it calls code that was compiled for XLA"),
    (
        "cholesky_update geqp3 geqrf hessenberg householder_product ormqr symmetric_product tridiagonal"
        " tridiagonal_solve",
        "only whole factorizations are here: cholesky, lu, qr, eigh, eig, schur, svd",
    ),
    ("iota_2x32_shape philox* rng_bit_generator rng_uniform threefry4x32", "random bits are those of threefry2x32"),
    ("check", "the checks of jax.experimental.checkify are not here"),
    ("dim_as_value dimension_size shape_assertion", "shapes are constants"),
    (
        "after_all broadcast_to call closed_call create_linear create_token custom_jvp_call_jaxpr custom_lin dce_sink"
        " empty2 eval_jaxpr from_edtype linear_call remat_opt select_and_scatter tie to_edtype unreachable zeros_like",
        "jax uses it inside its own transformations, and jax.make_jaxpr of a function does not give it",
    ),
)


def reason(name: str) -> str | None:
    """Why the primitive ``name`` of jax has no rule, if that is known."""
    for patterns, why in REASONS:
        if any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            return why
    return None
