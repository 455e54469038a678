"""Networks, each in a few lines of ``anejax.nn`` layers; and ``load``, which reads pretrained ones."""

from anejax.models.hub import ModelError as ModelError
from anejax.models.hub import Pretrained as Pretrained
from anejax.models.hub import load as load
from anejax.models.hub import mean_pooled as mean_pooled

__all__ = [
    "ModelError", "Pretrained", "load", "mean_pooled"
]  # fmt: skip
