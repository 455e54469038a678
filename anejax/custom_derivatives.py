"""jax.custom_derivatives on anejax: functions with derivative rules that the user writes."""

from __future__ import annotations

from anejax.absent import getattr_of
from anejax.api.closures import closure_convert as closure_convert
from anejax.api.closures import custom_gradient as custom_gradient
from anejax.api.custom import CustomVJPPrimal as CustomVJPPrimal
from anejax.api.custom import SymbolicZero as SymbolicZero
from anejax.api.custom import custom_jvp as custom_jvp
from anejax.api.custom import custom_vjp as custom_vjp
from anejax.api.custom import custom_vjp_primal_tree_values as custom_vjp_primal_tree_values
from anejax.api.custom import zero_from_primal as zero_from_primal
from anejax.transforms.custom import custom_jvp_call_p as custom_jvp_call_p
from anejax.transforms.custom import custom_vjp_call_p as custom_vjp_call_p

__all__ = [
    "CustomVJPPrimal", "SymbolicZero", "closure_convert", "custom_gradient", "custom_jvp", "custom_jvp_call_p",
    "custom_vjp", "custom_vjp_call_p", "custom_vjp_primal_tree_values", "zero_from_primal"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
