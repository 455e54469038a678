"""``anejax train images`` on a folder of pictures, and what ``pictures`` makes of folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anejax.cli import main
from anejax.data import pictures
from anejax.train import checkpoint

Image = pytest.importorskip("PIL.Image", reason="pip install pillow")
COLOURS = {"blue": (0, 0, 200), "red": (200, 0, 0)}


def folder(root: Path, count: int = 10) -> Path:
    """Pictures of various sizes and forms, in the colour of their class with noise."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            size = rng.integers(8, 30, 2)
            pixels = np.clip(rng.normal(colour, 40, (*size, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.{'png' if i % 2 else 'jpg'}")
    return root


def test_a_run_learns_the_classes_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folder(tmp_path / "data")
    out = tmp_path / "run"
    command = ["train", "images", "--data", str(data), "--size", "8", "--width", "2", "--epochs", "6", "--batch", "8"]
    assert main([*command, "--lr", "0.05", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "classes: blue, red" in said and "images of 2 classes" in said
    config = checkpoint.record(checkpoint.newest(out / "checkpoints", print))["config"]
    assert config["classes"] == ["blue", "red"] and len(config["mean"]) == len(config["deviation"]) == 3
    (data / "red" / "0.jpg").unlink()
    assert main(["train", "images", "--resume", str(out)]) == 2
    assert "has changed since the run began" in capsys.readouterr().err


def test_classes_are_split_by_seed_or_by_folders(tmp_path: Path) -> None:
    data = folder(tmp_path / "data")
    train, test = pictures.load(data, 12, 0.3, 0)
    assert train.images.shape == (14, 3, 12, 12) and test.images.shape == (6, 3, 12, 12)
    assert train.classes == ("blue", "red") and np.bincount(test.labels).tolist() == [3, 3]
    assert (test.images.mean((2, 3)).argmax(1) == np.where(test.labels, 0, 2)).all()
    other, _ = pictures.load(data, 12, 0.3, 1)
    assert not np.array_equal(train.images, other.images)
    folder(tmp_path / "both" / "train", 4)
    folder(tmp_path / "both" / "val", 2)
    train, test = pictures.load(tmp_path / "both", 8, 0.3, 0)
    assert (len(train.labels), len(test.labels)) == (8, 4)


def test_pictures_keep_their_form(tmp_path: Path) -> None:
    """The shorter side is resized and the middle of the longer one is kept."""
    pixels = np.zeros((10, 30, 3), np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert (pictures.read(tmp_path / "a.png", 10) == 255).all()


def test_folders_without_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(pictures.PictureError, match="expected a folder with a folder of images"):
        pictures.load(tmp_path / "nothing", 8, 0.2, 0)
    with pytest.raises(pictures.PictureError, match="two folders or more with images"):
        pictures.load(tmp_path, 8, 0.2, 0)
    (tmp_path / "a.png").write_bytes(b"GIF89a" + bytes(50))
    with pytest.raises(pictures.PictureError, match=r"a.png is no PNG or JPEG, or damaged"):
        pictures.read(tmp_path / "a.png", 8)
    whole = folder(tmp_path / "data", 2) / "red" / "1.png"
    whole.write_bytes(whole.read_bytes()[:60])
    with pytest.raises(pictures.PictureError, match=r"1.png is no PNG or JPEG, or damaged"):
        pictures.load(tmp_path / "data", 8, 0.5, 0)
    assert main(["train", "images"]) == 2
    assert "expected --data FOLDER" in capsys.readouterr().err
