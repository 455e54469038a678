"""jax.ad_checkpoint on anejax: names values for ``anejax.checkpoint``, selects which of them are saved, and prints
them."""

from anejax.absent import getattr_of
from anejax.api.checkpointing import checkpoint_name as checkpoint_name
from anejax.api.checkpointing import checkpoint_policies as checkpoint_policies
from anejax.api.checkpointing import print_saved_residuals as print_saved_residuals
from anejax.transforms.saving import Recompute as Recompute
from anejax.transforms.saving import Saveable as Saveable

__all__ = [
    "Recompute", "Saveable", "checkpoint_name", "checkpoint_policies", "print_saved_residuals"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
