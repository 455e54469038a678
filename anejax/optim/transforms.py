"""Transformations of gradients, with optax.transforms' names."""

from anejax.absent import getattr_of
from anejax.optim.base import MaskedNode as MaskedNode
from anejax.optim.base import MaskedState as MaskedState
from anejax.optim.base import NonNegativeParamsState as NonNegativeParamsState
from anejax.optim.base import chain as chain
from anejax.optim.base import masked as masked
from anejax.optim.conditions import ConditionallyMaskState as ConditionallyMaskState
from anejax.optim.conditions import ConditionallyTransformState as ConditionallyTransformState
from anejax.optim.conditions import ConditionFn as ConditionFn
from anejax.optim.conditions import MonitorState as MonitorState
from anejax.optim.conditions import SnapshotState as SnapshotState
from anejax.optim.conditions import conditionally_mask as conditionally_mask
from anejax.optim.conditions import conditionally_transform as conditionally_transform
from anejax.optim.conditions import flatten as flatten
from anejax.optim.conditions import keep_params_nonnegative as keep_params_nonnegative
from anejax.optim.conditions import measure_with_ema as measure_with_ema
from anejax.optim.conditions import monitor as monitor
from anejax.optim.conditions import snapshot as snapshot
from anejax.optim.multisteps import MultiSteps as MultiSteps
from anejax.optim.multisteps import MultiStepsState as MultiStepsState
from anejax.optim.multisteps import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from anejax.optim.norms import adaptive_grad_clip as adaptive_grad_clip
from anejax.optim.norms import per_example_global_norm_clip as per_example_global_norm_clip
from anejax.optim.norms import per_example_layer_norm_clip as per_example_layer_norm_clip
from anejax.optim.norms import unitwise_clip as unitwise_clip
from anejax.optim.norms import unitwise_norm as unitwise_norm
from anejax.optim.steps import AddNoiseState as AddNoiseState
from anejax.optim.steps import add_noise as add_noise
from anejax.optim.transform import EmaState as EmaState
from anejax.optim.transform import TraceState as TraceState
from anejax.optim.transform import ZeroNansState as ZeroNansState
from anejax.optim.transform import add_decayed_weights as add_decayed_weights
from anejax.optim.transform import clip as clip
from anejax.optim.transform import clip_by_block_rms as clip_by_block_rms
from anejax.optim.transform import clip_by_global_norm as clip_by_global_norm
from anejax.optim.transform import ema as ema
from anejax.optim.transform import trace as trace
from anejax.optim.transform import zero_nans as zero_nans
from anejax.optim.wrappers import ApplyIfFiniteState as ApplyIfFiniteState
from anejax.optim.wrappers import PartitionState as PartitionState
from anejax.optim.wrappers import apply_if_finite as apply_if_finite
from anejax.optim.wrappers import freeze as freeze
from anejax.optim.wrappers import named_chain as named_chain
from anejax.optim.wrappers import partition as partition
from anejax.optim.wrappers import selective_transform as selective_transform
from anejax.optim.wrappers import skip_large_updates as skip_large_updates
from anejax.optim.wrappers import skip_not_finite as skip_not_finite

__all__ = [
    "AddNoiseState", "ApplyIfFiniteState", "ConditionFn", "ConditionallyMaskState", "ConditionallyTransformState",
    "EmaState", "MaskedNode", "MaskedState", "MonitorState", "MultiSteps", "MultiStepsState",
    "NonNegativeParamsState", "PartitionState", "ShouldSkipUpdateFunction", "SnapshotState", "TraceState",
    "ZeroNansState", "adaptive_grad_clip", "add_decayed_weights", "add_noise", "apply_if_finite", "chain", "clip",
    "clip_by_block_rms", "clip_by_global_norm", "conditionally_mask", "conditionally_transform", "ema", "flatten",
    "freeze", "keep_params_nonnegative", "masked", "measure_with_ema", "monitor", "named_chain", "partition",
    "per_example_global_norm_clip", "per_example_layer_norm_clip", "selective_transform", "skip_large_updates",
    "skip_not_finite", "snapshot", "trace", "unitwise_clip", "unitwise_norm", "zero_nans"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
