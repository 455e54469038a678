"""Shuffled, augmented, normalised batches, each determined by (seed, epoch, index) alone.

So a training run can stop after any batch and continue from there. It saves two numbers for that.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from anejax.errors import AnejaxError

T = TypeVar("T")
_PAD = 4


class BatchError(AnejaxError, ValueError):
    """Batches of the asked size cannot be made."""


@dataclass(frozen=True, eq=False)
class TrainBatches:
    """Training batches: float32[batch,3,h,w] images and int32[batch] labels.

    Each epoch sees a new order, new crops and new flips. Images that do not fill a last batch wait for
    another epoch's order, so that all batches have one shape.
    """

    images: np.ndarray  # uint8[n,3,h,w]
    labels: np.ndarray  # int32[n]
    batch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int = 0
    augment: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= len(self.images):
            raise BatchError(f"[batches] expected a batch of 1 to {len(self.images)} images, got {self.batch}.")

    @property
    def items(self) -> int:
        """Images in a batch."""
        return self.batch

    def __len__(self) -> int:
        return len(self.images) // self.batch

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of one epoch, from number ``start`` on."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.images))
        for index in range(start, len(self)):
            chosen = order[index * self.batch : (index + 1) * self.batch]
            images = self.images[chosen]
            if self.augment:
                images = crop_and_flip(images, np.random.default_rng([self.seed, epoch, index]))
            yield normalize(images, self.mean, self.std), self.labels[chosen]


@dataclass(frozen=True, eq=False)
class TestBatches:
    """Test batches in order: images, labels, and a weight that is 0 for what fills up the last one."""

    __test__ = False  # not a test case of pytest's

    images: np.ndarray
    labels: np.ndarray
    batch: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return -(-len(self.images) // self.batch)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(self.images), self.batch):
            index = np.arange(start, start + self.batch)
            weight = (index < len(self.images)).astype(np.float32)
            index = np.minimum(index, len(self.images) - 1)
            yield normalize(self.images[index], self.mean, self.std), self.labels[index], weight


def crop_and_flip(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image shifted by up to four pixels (black comes in) and mirrored half of the time."""
    count, _, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (_PAD, _PAD), (_PAD, _PAD)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
    down, right = rng.integers(0, 2 * _PAD + 1, size=(2, count))
    cropped = windows[np.arange(count), :, down, right]
    mirrored = rng.random(count) < 0.5
    cropped[mirrored] = cropped[mirrored, :, :, ::-1]
    return cropped


def normalize(images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """float32 images with mean 0 and deviation 1 in each channel, from uint8 ones."""
    scale = 1 / (255 * np.asarray(std, np.float32))
    shift = -np.asarray(mean, np.float32) / np.asarray(std, np.float32)
    out = np.multiply(images, scale[:, None, None], dtype=np.float32)
    return np.add(out, shift[:, None, None], out=out)


def prefetch(items: Iterable[T], depth: int = 2) -> Generator[T, None, None]:
    """The same items, made ahead of their use by one background thread.

    An error in that thread comes out here; closing the iterator ends the thread.
    """
    ready: queue.Queue = queue.Queue(depth)
    closed = threading.Event()

    def put(kind: str, value: object) -> bool:
        while not closed.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as err:
            put("error", err)

    thread = threading.Thread(target=work, name="anejax-prefetch", daemon=True)
    try:
        thread.start()
        while True:
            kind, value = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        closed.set()
        if thread.ident is not None:
            thread.join()
