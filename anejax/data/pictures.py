"""Folders of images: one folder for each class, with PNG or JPEG files of any size, read by Pillow."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anejax.errors import AnejaxError, MissingDependencyError
from anejax.paths import open_file

_ENDINGS = (".png", ".jpg", ".jpeg")
_PARTS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation")}
_MOST_PIXELS = 1 << 27  # of an image, before it is made smaller
_MOST_BYTES = 1 << 34  # of all images


class PictureError(AnejaxError, ValueError):
    """A folder has no images of two classes or more, or an image cannot be read."""


class Pictures(NamedTuple):
    """Images of one size and their classes: uint8[n,3,size,size], int32[n], and the names of the classes."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]


def load(folder: Path | str, size: int, held: float, seed: int) -> tuple[Pictures, Pictures]:
    """The images for training and for tests in ``folder``, each with its shorter side resized to ``size`` and cropped.

    A folder with ``train`` and ``test`` (or ``val``) has both; of another, whose folders are the classes, the part
    ``held`` of each class is held out, chosen by ``seed``.

    Raises PictureError if there are no images, fewer than two classes, or one is damaged; MissingDependencyError
    without Pillow; OSError.
    """
    folder = Path(folder)
    seen, unseen = _parts(folder)
    if seen is not None and unseen is not None:
        classes = _classes(seen)
        if unknown := sorted(set(_classes(unseen)) - set(classes)):
            raise PictureError(f"[images] {unseen}: class {unknown[0]} is not in {seen}.")
        train, test = ({c: _files(part / c) for c in classes} for part in (seen, unseen))
    else:
        classes = _classes(folder)
        train, test = {}, {}
        for number, name in enumerate(classes):
            files = _files(folder / name)
            order = np.random.default_rng([seed, number]).permutation(len(files))
            count = max(1, round(held * len(files))) if len(files) > 1 else 0
            test[name] = [files[i] for i in order[:count]]
            train[name] = [files[i] for i in order[count:]]
    total = sum(map(len, (*train.values(), *test.values())))
    if total * 3 * size * size > _MOST_BYTES:
        raise PictureError(
            f"[images] {folder}: {total:,} images of {size} x {size} are more than {_MOST_BYTES:,} bytes."
        )
    return _read(train, size), _read(test, size)


def has_parts(folder: Path | str) -> bool:
    """Whether a folder has folders for training and for tests."""
    return None not in _parts(Path(folder))


def _parts(folder: Path) -> list[Path | None]:
    """The folder for training and that for tests, where they are there."""
    return [next((folder / n for n in names if (folder / n).is_dir()), None) for names in _PARTS.values()]


def _classes(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise PictureError(f"[images] {folder}: expected a folder with a folder of images for each class.")
    found = tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and _files(p)))
    if len(found) < 2:
        raise PictureError(
            f"[images] {folder}: expected two folders or more with images ({', '.join(_ENDINGS)}), one for each class,"
            f" got {len(found)}."
        )
    return found


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*") if p.suffix.lower() in _ENDINGS)


def _read(files: dict[str, list[Path]], size: int) -> Pictures:
    paths = [path for own in files.values() for path in own]
    labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(own) for own in files.values()])
    images = np.empty((len(paths), 3, size, size), np.uint8)
    for to, path in zip(images, paths, strict=True):
        to[:] = read(path, size)
    return Pictures(images, labels, tuple(files))


def read(path: Path, size: int) -> np.ndarray:
    """One image, uint8[3,size,size]: its shorter side resized, the middle of its longer one."""
    library = _pillow()
    try:
        with open_file(path) as file, library.open(file, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            image.draft("RGB", (size, size))  # JPEG is decoded at a smaller size where that is enough
            square = _ops().fit(image.convert("RGB"), (size, size), library.Resampling.BILINEAR)
            return np.asarray(square, np.uint8).transpose(2, 0, 1)
    except (OSError, MemoryError, ValueError, SyntaxError, library.DecompressionBombError) as err:
        if isinstance(err, OSError) and err.errno is not None:
            raise
        raise PictureError(f"[images] {path} is no PNG or JPEG, or damaged: {err}.") from None


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ImportError as err:
        raise MissingDependencyError(
            "[images] images need the package pillow, which is not installed: pip install pillow, or 'anejax[data]'."
        ) from err


def _ops() -> Any:
    return importlib.import_module("PIL.ImageOps")
