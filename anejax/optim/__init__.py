"""Optimizers as pairs of pure functions, schedules and losses, with optax's names and numbers.

Example:
    >>> from anejax import optim
    >>> opt = optim.adamw(optim.cosine_decay_schedule(1e-3, 1000), weight_decay=0.01)
"""

from anejax.absent import getattr_of
from anejax.optim import losses as losses
from anejax.optim import schedules as schedules
from anejax.optim import transforms as transforms
from anejax.optim.adaptive import ScaleByAdaDeltaState as ScaleByAdaDeltaState
from anejax.optim.adaptive import ScaleByAmsgradState as ScaleByAmsgradState
from anejax.optim.adaptive import ScaleByBeliefState as ScaleByBeliefState
from anejax.optim.adaptive import centralize as centralize
from anejax.optim.adaptive import scale_by_adadelta as scale_by_adadelta
from anejax.optim.adaptive import scale_by_amsgrad as scale_by_amsgrad
from anejax.optim.adaptive import scale_by_belief as scale_by_belief
from anejax.optim.adaptive import scale_by_radam as scale_by_radam
from anejax.optim.adaptive import scale_by_yogi as scale_by_yogi
from anejax.optim.alias import adabelief as adabelief
from anejax.optim.alias import adadelta as adadelta
from anejax.optim.alias import adagrad as adagrad
from anejax.optim.alias import adam as adam
from anejax.optim.alias import adamax as adamax
from anejax.optim.alias import adamw as adamw
from anejax.optim.alias import amsgrad as amsgrad
from anejax.optim.alias import lamb as lamb
from anejax.optim.alias import lion as lion
from anejax.optim.alias import nadam as nadam
from anejax.optim.alias import nadamw as nadamw
from anejax.optim.alias import radam as radam
from anejax.optim.alias import rmsprop as rmsprop
from anejax.optim.alias import sgd as sgd
from anejax.optim.alias import sign_sgd as sign_sgd
from anejax.optim.alias import yogi as yogi
from anejax.optim.base import AdaptiveGradClipState as AdaptiveGradClipState
from anejax.optim.base import AddDecayedWeightsState as AddDecayedWeightsState
from anejax.optim.base import ClipByGlobalNormState as ClipByGlobalNormState
from anejax.optim.base import ClipState as ClipState
from anejax.optim.base import EmptyState as EmptyState
from anejax.optim.base import GradientTransformation as GradientTransformation
from anejax.optim.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from anejax.optim.base import MaskedNode as MaskedNode
from anejax.optim.base import MaskedState as MaskedState
from anejax.optim.base import MaskOrFn as MaskOrFn
from anejax.optim.base import NonNegativeParamsState as NonNegativeParamsState
from anejax.optim.base import OptState as OptState
from anejax.optim.base import Params as Params
from anejax.optim.base import ScalarOrSchedule as ScalarOrSchedule
from anejax.optim.base import ScaleByTrustRatioState as ScaleByTrustRatioState
from anejax.optim.base import ScaleState as ScaleState
from anejax.optim.base import Schedule as Schedule
from anejax.optim.base import TransformInitFn as TransformInitFn
from anejax.optim.base import TransformUpdateExtraArgsFn as TransformUpdateExtraArgsFn
from anejax.optim.base import TransformUpdateFn as TransformUpdateFn
from anejax.optim.base import Updates as Updates
from anejax.optim.base import apply_updates as apply_updates
from anejax.optim.base import chain as chain
from anejax.optim.base import global_norm as global_norm
from anejax.optim.base import identity as identity
from anejax.optim.base import init_empty_state as init_empty_state
from anejax.optim.base import masked as masked
from anejax.optim.base import safe_increment as safe_increment
from anejax.optim.base import safe_int32_increment as safe_int32_increment
from anejax.optim.base import set_to_zero as set_to_zero
from anejax.optim.base import stateless as stateless
from anejax.optim.base import stateless_with_tree_map as stateless_with_tree_map
from anejax.optim.base import with_extra_args_support as with_extra_args_support
from anejax.optim.conditions import ConditionallyMaskState as ConditionallyMaskState
from anejax.optim.conditions import ConditionallyTransformState as ConditionallyTransformState
from anejax.optim.conditions import MonitorState as MonitorState
from anejax.optim.conditions import SnapshotState as SnapshotState
from anejax.optim.conditions import conditionally_mask as conditionally_mask
from anejax.optim.conditions import conditionally_transform as conditionally_transform
from anejax.optim.conditions import flatten as flatten
from anejax.optim.conditions import keep_params_nonnegative as keep_params_nonnegative
from anejax.optim.conditions import measure_with_ema as measure_with_ema
from anejax.optim.conditions import monitor as monitor
from anejax.optim.conditions import snapshot as snapshot
from anejax.optim.conditions import tree_map_params as tree_map_params
from anejax.optim.distances import convex_kl_divergence as convex_kl_divergence
from anejax.optim.distances import cosine_distance as cosine_distance
from anejax.optim.distances import cosine_similarity as cosine_similarity
from anejax.optim.distances import ctc_loss as ctc_loss
from anejax.optim.distances import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from anejax.optim.distances import generalized_kl_divergence as generalized_kl_divergence
from anejax.optim.distances import hinge_loss as hinge_loss
from anejax.optim.distances import kl_divergence as kl_divergence
from anejax.optim.distances import ntxent as ntxent
from anejax.optim.distances import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from anejax.optim.distances import sigmoid_focal_loss as sigmoid_focal_loss
from anejax.optim.factored import FactoredState as FactoredState
from anejax.optim.factored import ScaleBySM3State as ScaleBySM3State
from anejax.optim.factored import scale_by_factored_rms as scale_by_factored_rms
from anejax.optim.factored import scale_by_sm3 as scale_by_sm3
from anejax.optim.matrices import matrix_inverse_pth_root as matrix_inverse_pth_root
from anejax.optim.matrices import nnls as nnls
from anejax.optim.matrices import power_iteration as power_iteration
from anejax.optim.moments import bias_correction as bias_correction
from anejax.optim.moments import multi_normal as multi_normal
from anejax.optim.moments import scale_gradient as scale_gradient
from anejax.optim.moments import update_infinity_moment as update_infinity_moment
from anejax.optim.moments import update_moment as update_moment
from anejax.optim.moments import update_moment_per_elem_norm as update_moment_per_elem_norm
from anejax.optim.multisteps import MultiSteps as MultiSteps
from anejax.optim.multisteps import MultiStepsState as MultiStepsState
from anejax.optim.multisteps import ShouldSkipUpdateFunction as ShouldSkipUpdateFunction
from anejax.optim.named import adafactor as adafactor
from anejax.optim.named import adamaxw as adamaxw
from anejax.optim.named import adan as adan
from anejax.optim.named import fromage as fromage
from anejax.optim.named import lars as lars
from anejax.optim.named import noisy_sgd as noisy_sgd
from anejax.optim.named import novograd as novograd
from anejax.optim.named import optimistic_adam as optimistic_adam
from anejax.optim.named import optimistic_adam_v2 as optimistic_adam_v2
from anejax.optim.named import optimistic_gradient_descent as optimistic_gradient_descent
from anejax.optim.named import polyak_sgd as polyak_sgd
from anejax.optim.named import rprop as rprop
from anejax.optim.named import signum as signum
from anejax.optim.named import sm3 as sm3
from anejax.optim.norms import adaptive_grad_clip as adaptive_grad_clip
from anejax.optim.norms import normalize_by_update_norm as normalize_by_update_norm
from anejax.optim.norms import per_example_global_norm_clip as per_example_global_norm_clip
from anejax.optim.norms import per_example_layer_norm_clip as per_example_layer_norm_clip
from anejax.optim.norms import safe_norm as safe_norm
from anejax.optim.norms import safe_root_mean_squares as safe_root_mean_squares
from anejax.optim.norms import scale_by_param_block_norm as scale_by_param_block_norm
from anejax.optim.norms import scale_by_param_block_rms as scale_by_param_block_rms
from anejax.optim.norms import scale_by_polyak as scale_by_polyak
from anejax.optim.pointwise import huber_loss as huber_loss
from anejax.optim.pointwise import l2_loss as l2_loss
from anejax.optim.pointwise import log_cosh as log_cosh
from anejax.optim.pointwise import sigmoid_binary_cross_entropy as sigmoid_binary_cross_entropy
from anejax.optim.pointwise import smooth_labels as smooth_labels
from anejax.optim.pointwise import softmax_cross_entropy as softmax_cross_entropy
from anejax.optim.pointwise import (
    softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
)
from anejax.optim.pointwise import squared_error as squared_error
from anejax.optim.schedules import constant_schedule as constant_schedule
from anejax.optim.schedules import cosine_decay_schedule as cosine_decay_schedule
from anejax.optim.schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from anejax.optim.schedules import exponential_decay as exponential_decay
from anejax.optim.schedules import join_schedules as join_schedules
from anejax.optim.schedules import linear_onecycle_schedule as linear_onecycle_schedule
from anejax.optim.schedules import linear_schedule as linear_schedule
from anejax.optim.schedules import piecewise_constant_schedule as piecewise_constant_schedule
from anejax.optim.schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from anejax.optim.schedules import polynomial_schedule as polynomial_schedule
from anejax.optim.schedules import sgdr_schedule as sgdr_schedule
from anejax.optim.schedules import warmup_constant_schedule as warmup_constant_schedule
from anejax.optim.schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from anejax.optim.schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule
from anejax.optim.steps import AddNoiseState as AddNoiseState
from anejax.optim.steps import ApplyEvery as ApplyEvery
from anejax.optim.steps import ScaleByAdanState as ScaleByAdanState
from anejax.optim.steps import ScaleByNovogradState as ScaleByNovogradState
from anejax.optim.steps import ScaleByRpropState as ScaleByRpropState
from anejax.optim.steps import add_noise as add_noise
from anejax.optim.steps import apply_every as apply_every
from anejax.optim.steps import scale_by_adan as scale_by_adan
from anejax.optim.steps import scale_by_distance_over_gradients as scale_by_distance_over_gradients
from anejax.optim.steps import scale_by_novograd as scale_by_novograd
from anejax.optim.steps import scale_by_optimistic_gradient as scale_by_optimistic_gradient
from anejax.optim.steps import scale_by_rprop as scale_by_rprop
from anejax.optim.transform import EmaState as EmaState
from anejax.optim.transform import ScaleByAdamState as ScaleByAdamState
from anejax.optim.transform import ScaleByLionState as ScaleByLionState
from anejax.optim.transform import ScaleByRmsState as ScaleByRmsState
from anejax.optim.transform import ScaleByRmsWithCountState as ScaleByRmsWithCountState
from anejax.optim.transform import ScaleByRssState as ScaleByRssState
from anejax.optim.transform import ScaleByRStdDevState as ScaleByRStdDevState
from anejax.optim.transform import ScaleByRStdDevWithCountState as ScaleByRStdDevWithCountState
from anejax.optim.transform import ScaleByScheduleState as ScaleByScheduleState
from anejax.optim.transform import TraceState as TraceState
from anejax.optim.transform import WeightDecaySchedule as WeightDecaySchedule
from anejax.optim.transform import ZeroNansState as ZeroNansState
from anejax.optim.transform import add_decayed_weights as add_decayed_weights
from anejax.optim.transform import clip as clip
from anejax.optim.transform import clip_by_block_rms as clip_by_block_rms
from anejax.optim.transform import clip_by_global_norm as clip_by_global_norm
from anejax.optim.transform import ema as ema
from anejax.optim.transform import scale as scale
from anejax.optim.transform import scale_by_adam as scale_by_adam
from anejax.optim.transform import scale_by_adamax as scale_by_adamax
from anejax.optim.transform import scale_by_learning_rate as scale_by_learning_rate
from anejax.optim.transform import scale_by_lion as scale_by_lion
from anejax.optim.transform import scale_by_rms as scale_by_rms
from anejax.optim.transform import scale_by_rss as scale_by_rss
from anejax.optim.transform import scale_by_schedule as scale_by_schedule
from anejax.optim.transform import scale_by_sign as scale_by_sign
from anejax.optim.transform import scale_by_stddev as scale_by_stddev
from anejax.optim.transform import scale_by_trust_ratio as scale_by_trust_ratio
from anejax.optim.transform import trace as trace
from anejax.optim.transform import zero_nans as zero_nans
from anejax.optim.wrappers import ApplyIfFiniteState as ApplyIfFiniteState
from anejax.optim.wrappers import InjectHyperparamsState as InjectHyperparamsState
from anejax.optim.wrappers import LookaheadParams as LookaheadParams
from anejax.optim.wrappers import LookaheadState as LookaheadState
from anejax.optim.wrappers import MultiTransformState as MultiTransformState
from anejax.optim.wrappers import PartitionState as PartitionState
from anejax.optim.wrappers import apply_if_finite as apply_if_finite
from anejax.optim.wrappers import freeze as freeze
from anejax.optim.wrappers import incremental_update as incremental_update
from anejax.optim.wrappers import inject_hyperparams as inject_hyperparams
from anejax.optim.wrappers import lookahead as lookahead
from anejax.optim.wrappers import multi_transform as multi_transform
from anejax.optim.wrappers import named_chain as named_chain
from anejax.optim.wrappers import partition as partition
from anejax.optim.wrappers import periodic_update as periodic_update
from anejax.optim.wrappers import selective_transform as selective_transform
from anejax.optim.wrappers import skip_large_updates as skip_large_updates
from anejax.optim.wrappers import skip_not_finite as skip_not_finite

__all__ = [
    "AdaptiveGradClipState", "AddDecayedWeightsState", "AddNoiseState", "ApplyEvery", "ApplyIfFiniteState",
    "ClipByGlobalNormState", "ClipState", "ConditionallyMaskState", "ConditionallyTransformState", "EmaState",
    "EmptyState", "FactoredState", "GradientTransformation", "GradientTransformationExtraArgs",
    "InjectHyperparamsState", "LookaheadParams", "LookaheadState", "MaskOrFn", "MaskedNode", "MaskedState",
    "MonitorState", "MultiSteps", "MultiStepsState", "MultiTransformState", "NonNegativeParamsState", "OptState",
    "Params", "PartitionState", "ScalarOrSchedule", "ScaleByAdaDeltaState", "ScaleByAdamState", "ScaleByAdanState",
    "ScaleByAmsgradState", "ScaleByBeliefState", "ScaleByLionState", "ScaleByNovogradState", "ScaleByRStdDevState",
    "ScaleByRStdDevWithCountState", "ScaleByRmsState", "ScaleByRmsWithCountState", "ScaleByRpropState",
    "ScaleByRssState", "ScaleBySM3State", "ScaleByScheduleState", "ScaleByTrustRatioState", "ScaleState",
    "Schedule", "ShouldSkipUpdateFunction", "SnapshotState", "TraceState", "TransformInitFn",
    "TransformUpdateExtraArgsFn", "TransformUpdateFn", "Updates", "WeightDecaySchedule", "ZeroNansState",
    "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan",
    "adaptive_grad_clip", "add_decayed_weights", "add_noise", "amsgrad", "apply_every", "apply_if_finite",
    "apply_updates", "bias_correction", "centralize", "chain", "clip", "clip_by_block_rms", "clip_by_global_norm",
    "conditionally_mask", "conditionally_transform", "constant_schedule", "convex_kl_divergence",
    "cosine_decay_schedule", "cosine_distance", "cosine_onecycle_schedule", "cosine_similarity", "ctc_loss",
    "ctc_loss_with_forward_probs", "ema", "exponential_decay", "flatten", "freeze", "fromage",
    "generalized_kl_divergence", "global_norm", "hinge_loss", "huber_loss", "identity", "incremental_update",
    "init_empty_state", "inject_hyperparams", "join_schedules", "keep_params_nonnegative", "kl_divergence",
    "l2_loss", "lamb", "lars", "linear_onecycle_schedule", "linear_schedule", "lion", "log_cosh", "lookahead",
    "losses", "masked", "matrix_inverse_pth_root", "measure_with_ema", "monitor", "multi_normal", "multi_transform",
    "nadam", "nadamw", "named_chain", "nnls", "noisy_sgd", "normalize_by_update_norm", "novograd", "ntxent",
    "optimistic_adam", "optimistic_adam_v2", "optimistic_gradient_descent", "partition",
    "per_example_global_norm_clip", "per_example_layer_norm_clip", "periodic_update", "piecewise_constant_schedule",
    "piecewise_interpolate_schedule", "polyak_sgd", "polynomial_schedule", "power_iteration", "radam", "rmsprop",
    "rprop", "safe_increment", "safe_int32_increment", "safe_norm", "safe_root_mean_squares",
    "safe_softmax_cross_entropy", "scale", "scale_by_adadelta", "scale_by_adam", "scale_by_adamax", "scale_by_adan",
    "scale_by_amsgrad", "scale_by_belief", "scale_by_distance_over_gradients", "scale_by_factored_rms",
    "scale_by_learning_rate", "scale_by_lion", "scale_by_novograd", "scale_by_optimistic_gradient",
    "scale_by_param_block_norm", "scale_by_param_block_rms", "scale_by_polyak", "scale_by_radam", "scale_by_rms",
    "scale_by_rprop", "scale_by_rss", "scale_by_schedule", "scale_by_sign", "scale_by_sm3", "scale_by_stddev",
    "scale_by_trust_ratio", "scale_by_yogi", "scale_gradient", "schedules", "selective_transform", "set_to_zero",
    "sgd", "sgdr_schedule", "sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "sign_sgd", "signum",
    "skip_large_updates", "skip_not_finite", "sm3", "smooth_labels", "snapshot", "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels", "squared_error", "stateless", "stateless_with_tree_map", "trace",
    "transforms", "tree_map_params", "update_infinity_moment", "update_moment", "update_moment_per_elem_norm",
    "warmup_constant_schedule", "warmup_cosine_decay_schedule", "warmup_exponential_decay_schedule",
    "with_extra_args_support", "yogi", "zero_nans"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
