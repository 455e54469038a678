"""Losses, with the names of optax.losses. Each returns one number per example; the caller averages them."""

from anejax.absent import getattr_of
from anejax.optim.distances import convex_kl_divergence as convex_kl_divergence
from anejax.optim.distances import cosine_distance as cosine_distance
from anejax.optim.distances import cosine_similarity as cosine_similarity
from anejax.optim.distances import ctc_loss as ctc_loss
from anejax.optim.distances import ctc_loss_with_forward_probs as ctc_loss_with_forward_probs
from anejax.optim.distances import generalized_kl_divergence as generalized_kl_divergence
from anejax.optim.distances import hinge_loss as hinge_loss
from anejax.optim.distances import kl_divergence as kl_divergence
from anejax.optim.distances import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from anejax.optim.distances import ntxent as ntxent
from anejax.optim.distances import perceptron_loss as perceptron_loss
from anejax.optim.distances import poly_loss_cross_entropy as poly_loss_cross_entropy
from anejax.optim.distances import safe_softmax_cross_entropy as safe_softmax_cross_entropy
from anejax.optim.distances import sigmoid_focal_loss as sigmoid_focal_loss
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

__all__ = [
    "convex_kl_divergence", "cosine_distance", "cosine_similarity", "ctc_loss", "ctc_loss_with_forward_probs",
    "generalized_kl_divergence", "hinge_loss", "huber_loss", "kl_divergence", "kl_divergence_with_log_targets",
    "l2_loss", "log_cosh", "ntxent", "perceptron_loss", "poly_loss_cross_entropy", "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "smooth_labels", "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels", "squared_error"
]  # fmt: skip

__getattr__ = getattr_of(__name__)
