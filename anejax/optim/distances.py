"""Losses between distributions, directions and sequences: Kullback-Leibler, cosine, hinge, focal, CTC."""

from __future__ import annotations

from typing import Any

import anejax.numpy as jnp
from anejax import dtypes, lax
from anejax.core.trace import aval_of
from anejax.errors import ShapeError
from anejax.nn.functions import log_sigmoid, log_softmax, logsumexp, one_hot, softmax
from anejax.optim.pointwise import check_float, sigmoid_binary_cross_entropy, softmax_cross_entropy


def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """``softmax_cross_entropy``, except that logits of classes with label 0 may be -inf."""
    check_float("safe_softmax_cross_entropy", "logits", logits)
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    used = jnp.where(labels != 0.0, labels * log_softmax(logits), 0.0)
    return -jnp.sum(used, axis=-1)


def kl_divergence(log_predictions: Any, targets: Any, axis: Any = -1, where: Any = None) -> Any:
    """sum(targets * (log(targets) - log_predictions)): targets are probabilities, 0 included."""
    check_float("kl_divergence", "log_predictions", log_predictions)
    check_float("kl_divergence", "targets", targets)
    targets = jnp.asarray(targets)
    empty = targets == 0
    logs = jnp.where(empty, 0.0, jnp.log(jnp.where(empty, 1.0, targets)))
    return jnp.sum(targets * (logs - log_predictions), axis, where=where)


def generalized_kl_divergence(log_predictions: Any, targets: Any, axis: Any = -1, where: Any = None) -> Any:
    """``kl_divergence`` plus sum(exp(log_predictions) - targets), convex in both where they do not sum to 1."""
    divergence = kl_divergence(log_predictions, targets, axis, where)
    return divergence + jnp.sum(jnp.exp(jnp.asarray(log_predictions)) - targets, axis, where=where)


convex_kl_divergence = generalized_kl_divergence


def kl_divergence_with_log_targets(log_predictions: Any, log_targets: Any, axis: Any = -1, where: Any = None) -> Any:
    """``kl_divergence`` of targets that are given by their logarithms."""
    check_float("kl_divergence_with_log_targets", "log_predictions", log_predictions)
    log_targets = jnp.asarray(log_targets)
    return jnp.sum(jnp.exp(log_targets) * (log_targets - log_predictions), axis, where=where)


def poly_loss_cross_entropy(logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Any = -1, where: Any = None) -> Any:
    """``softmax_cross_entropy`` plus epsilon * (1 - probability of the labels) (Leng et al., 2022)."""
    check_float("poly_loss_cross_entropy", "logits", logits)
    missed = jnp.sum(labels * (1 - softmax(logits, axis, where)), axis, where=where)
    return softmax_cross_entropy(logits, labels, axis, where) + epsilon * missed


def perceptron_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, -outputs * targets), elementwise; targets are -1 and 1."""
    return jnp.maximum(0, -jnp.asarray(predictor_outputs) * targets)


def hinge_loss(predictor_outputs: Any, targets: Any) -> Any:
    """max(0, 1 - outputs * targets), elementwise; targets are -1 and 1."""
    return jnp.maximum(0, 1 - jnp.asarray(predictor_outputs) * targets)


def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> Any:
    """``sigmoid_binary_cross_entropy`` times (1 - probability of the label)**gamma (Lin et al., 2018).

    ``alpha`` weighs label 1, and 1 - alpha weighs label 0.
    """
    check_float("sigmoid_focal_loss", "logits", logits)
    logits = jnp.asarray(logits)
    labels = jnp.asarray(labels).astype(logits.dtype)
    both = jnp.stack([log_sigmoid(logits), log_sigmoid(-logits)], -1)
    missed = logsumexp(both, axis=-1, b=jnp.stack([1 - labels, labels], -1))
    loss = sigmoid_binary_cross_entropy(logits, labels) * jnp.exp(gamma * missed)
    return loss if alpha is None else (alpha * labels + (1.0 - alpha) * (1.0 - labels)) * loss


def cosine_similarity(predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Any = -1, where: Any = None) -> Any:
    """The cosine of the angle between vectors along ``axis``; their squared norms count as ``epsilon`` at least."""
    check_float("cosine_similarity", "predictions", predictions)
    check_float("cosine_similarity", "targets", targets)

    def unit(x: Any) -> Any:
        square = jnp.sum(jnp.square(x), axis, where=where, keepdims=True)
        return x / jnp.sqrt(jnp.maximum(square, epsilon))

    return jnp.sum(unit(jnp.asarray(predictions)) * unit(jnp.asarray(targets)), axis, where=where)


def cosine_distance(predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Any = -1, where: Any = None) -> Any:
    """1 - ``cosine_similarity``."""
    return 1.0 - cosine_similarity(predictions, targets, epsilon=epsilon, axis=axis, where=where)


def ntxent(embeddings: Any, labels: Any, temperature: Any = 0.07) -> Any:
    """The contrastive loss of SimCLR (Chen et al., 2020): one number for all pairs of ``embeddings`` [n, features].

    Embeddings of equal ``labels`` [n] attract each other, all others repel.

    Raises:
        ShapeError: the numbers of embeddings and labels differ.
    """
    check_float("ntxent", "embeddings", embeddings)
    embeddings, labels = jnp.asarray(embeddings), jnp.asarray(labels)
    if labels.shape[0] != embeddings.shape[0]:
        raise ShapeError(f"[ntxent] expected a label for each embedding, got {labels.aval} and {embeddings.aval}.")
    eps = float(dtypes.finfo(embeddings.dtype).eps)
    scores = cosine_similarity(embeddings[None], embeddings[:, None], epsilon=eps) / temperature
    alike = labels[:, None] == labels[None]
    pairs = alike & ~jnp.eye(len(labels), dtype=jnp.bool_)
    apart = jnp.where(alike, -jnp.inf, scores)
    most = lax.stop_gradient(jnp.max(jnp.where(pairs, scores, apart), 1, keepdims=True))
    matched = jnp.where(pairs, scores - most, -jnp.inf)
    total = jnp.sum(jnp.exp(apart - most), 1, keepdims=True) + jnp.exp(matched)
    return -jnp.sum(jnp.where(pairs, matched - jnp.log(total), 0.0)) / jnp.sum(pairs)


def ctc_loss_with_forward_probs(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -1e5,
) -> tuple[Any, Any, Any]:
    """Connectionist temporal classification (Graves et al., 2006), with the probabilities on the way.

    ``logits`` [batch, frames, classes] and ``labels`` [batch, n] have paddings [batch, frames] and [batch, n], 1 where
    an entry does not count and else 0. ``blank_id`` is the class of the blank; ``log_epsilon`` stands for log(0).

    Returns the losses [batch], and log probabilities of having emitted the first labels, followed by a blank
    [frames, batch, n + 1] or not [frames, batch, n].

    Raises:
        ShapeError: the shapes do not match.
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    padded, label_padded = jnp.asarray(logit_paddings), jnp.asarray(label_paddings)
    shapes = logits.ndim == 3 and labels.ndim == 2 and labels.shape[0] == logits.shape[0]
    if not shapes or padded.shape != logits.shape[:2] or label_padded.shape != labels.shape:
        raise ShapeError(
            "[ctc_loss] expected logits [batch, frames, classes], labels [batch, n] and their paddings, got"
            f" {aval_of(logits)}, {aval_of(padded)}, {aval_of(labels)}, {aval_of(label_padded)}."
        )
    batch, n = labels.shape
    logs = log_softmax(logits)
    repeated = jnp.pad((labels[:, :-1] == labels[:, 1:]).astype(logs.dtype), ((0, 0), (0, 1)))
    blanks = jnp.transpose(logs[:, :, blank_id : blank_id + 1], (1, 0, 2))
    spoken = jnp.transpose(jnp.einsum("btk,bnk->btn", logs, one_hot(labels, logits.shape[2])), (1, 0, 2))

    def reached(phi: Any, added: Any) -> Any:
        return jnp.concatenate([phi[:, :1], jnp.logaddexp(phi[:, 1:], added)], -1)

    def frame(before: Any, x: Any) -> Any:
        (phi, emit), (speak, blank, pad) = before, x
        entered = reached(phi, emit + log_epsilon * repeated)
        new_emit = jnp.logaddexp(entered[:, :-1] + speak, emit + speak)
        new_phi = reached(entered + blank, emit + blank + log_epsilon * (1.0 - repeated))
        pad = pad[:, None]
        new = (pad * phi + (1.0 - pad) * new_phi, pad * emit + (1.0 - pad) * new_emit)
        return new, new

    start = jnp.full((batch, n + 1), log_epsilon, logs.dtype).at[:, 0].set(0.0)
    first = (start, jnp.full((batch, n), log_epsilon, logs.dtype))
    _, (phi, emit) = lax.scan(frame, first, (spoken, blanks, jnp.transpose(padded).astype(logs.dtype)))
    last = reached(phi[-1], emit[-1])
    lengths = n - jnp.sum(label_padded, 1).astype(jnp.int32)
    losses = -jnp.einsum("bn,bn->b", last, one_hot(lengths, n + 1))
    return losses, phi.at[-1].set(last), emit


def ctc_loss(
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: Any = -1e5,
) -> Any:
    """The losses of ``ctc_loss_with_forward_probs`` [batch].

    Example:
        >>> import anejax.numpy as jnp
        >>> from anejax import optim
        >>> optim.ctc_loss(jnp.zeros((1, 2, 2)), jnp.zeros((1, 2)), jnp.array([[1]]), jnp.zeros((1, 1))).round(4)
        Array([0.2877], dtype=float32)
    """
    return ctc_loss_with_forward_probs(
        logits, logit_paddings, labels, label_paddings, blank_id=blank_id, log_epsilon=log_epsilon
    )[0]
