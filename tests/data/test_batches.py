"""Batches: what they hold, that they can be had again from anywhere, and that they are quick."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from anejax.data.batches import (
    BatchError,
    TestBatches,
    TrainBatches,
    crop_and_flip,
    normalize,
    prefetch,
)

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (50, 3, 8, 8), np.uint8)
LABELS = np.arange(50, dtype=np.int32)


def batches(**options) -> TrainBatches:
    return TrainBatches(IMAGES, LABELS, 8, MEAN, STD, **options)


def labels(data: TrainBatches, epoch: int) -> list[int]:
    return [int(label) for _, y in data.epoch(epoch) for label in y]


def test_an_epoch_is_a_permutation_in_whole_batches() -> None:
    data = batches()
    assert len(data) == 6
    seen = labels(data, 0)
    assert len(seen) == 48 == len(set(seen))
    assert seen != sorted(seen)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    assert labels(batches(), 3) == labels(batches(), 3)
    assert labels(batches(), 3) != labels(batches(), 4)
    assert labels(batches(), 3) != labels(batches(seed=1), 3)


@pytest.mark.parametrize("start", range(7))
def test_the_rest_of_an_epoch_is_the_same_from_any_start(start: int) -> None:
    whole = list(batches().epoch(2))[start:]
    rest = list(batches().epoch(2, start))
    assert len(whole) == len(rest)
    for (x, y), (x2, y2) in zip(whole, rest):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)


def test_without_augmentation_images_go_with_their_labels() -> None:
    for x, y in batches(augment=False).epoch(0):
        assert x.dtype == np.float32 and x.flags.c_contiguous
        np.testing.assert_array_equal(x, normalize(IMAGES[y], MEAN, STD))


def test_normalize() -> None:
    expected = (IMAGES / 255.0 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(normalize(IMAGES, MEAN, STD), expected, atol=1e-5)


def test_crops_and_flips_are_shifts_and_mirrors() -> None:
    got = crop_and_flip(IMAGES, np.random.default_rng(3))
    padded = np.pad(IMAGES, ((0, 0), (0, 0), (4, 4), (4, 4)))
    kinds = set()
    for before, after in zip(padded, got):
        ways = [
            (down, right, mirror)
            for down in range(9)
            for right in range(9)
            for mirror in (1, -1)
            if (before[:, down : down + 8, right : right + 8][:, :, ::mirror] == after).all()
        ]
        assert ways
        kinds.add(ways[0])
    assert len(kinds) > 30 and {mirror for *_, mirror in kinds} == {1, -1}


def test_test_batches_weigh_each_image_once() -> None:
    data = TestBatches(IMAGES, LABELS, 16, MEAN, STD)
    parts = list(data)
    assert len(parts) == len(data) == 4
    assert all(x.shape == (16, 3, 8, 8) for x, _, _ in parts)
    weights = np.concatenate([w for _, _, w in parts])
    seen = np.concatenate([y for _, y, _ in parts])[weights == 1]
    np.testing.assert_array_equal(seen, LABELS)


@pytest.mark.parametrize("batch", [0, 51])
def test_a_batch_that_cannot_be_made(batch: int) -> None:
    with pytest.raises(BatchError, match=f"expected a batch of 1 to 50 images, got {batch}"):
        TrainBatches(IMAGES, LABELS, batch, MEAN, STD)


def test_prefetch_keeps_order_and_passes_errors_on() -> None:
    def items():
        yield from range(20)
        raise RuntimeError("broken")

    seen = []
    with pytest.raises(RuntimeError, match="broken"):
        for item in prefetch(items()):
            seen.append(item)
    assert seen == list(range(20))


def test_closing_prefetch_ends_its_thread() -> None:
    before = set(threading.enumerate())
    stream = prefetch(iter(int, 1))
    assert next(stream) == 0
    stream.close()
    assert set(threading.enumerate()) <= before


def test_prefetch_works_ahead_but_not_too_far() -> None:
    made = threading.Semaphore(0)

    def items():
        for i in range(10):
            made.release()
            yield i

    stream = prefetch(items(), depth=2)
    assert next(stream) == 0
    assert all(made.acquire(timeout=10) for _ in range(4))  # one taken, two waiting, one in hand
    assert not made.acquire(timeout=0.3)
    stream.close()


def test_batches_are_not_the_bottleneck() -> None:
    images = RNG.integers(0, 256, (2048, 3, 32, 32), np.uint8)
    data = TrainBatches(images, np.zeros(2048, np.int32), 128, MEAN, STD)
    start = time.process_time()
    count = sum(1 for _ in data.epoch(0))
    assert (time.process_time() - start) / count < 0.02  # 1 ms here; a step takes 100
