"""`export.coreml(..., one_function=True)`: one function for inputs of several shapes, as coremltools computes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import lax, nn
from anejax.errors import ExportError
from tests.export.evaluate import Package
from tests.export.test_export_coreml import close, normal

S = aj.export.Shapes
W = normal(3, 70)
CNN = nn.Sequential(nn.Conv2D(4, 3), nn.BatchNorm(), nn.ReLU(), nn.MaxPool(2), nn.GlobalAvgPool(), nn.Linear(5))
BLOCK = nn.TransformerBlock(2, 32)
CASES: dict[str, tuple[Any, Callable[..., Any], tuple[S, ...]]] = {
    "rows": (W, lambda p, x: nn.softmax(jnp.tanh(x @ p)), (S((range(2, 6), 3)),)),
    "a batch of pictures": ("cnn", lambda p, x: CNN.apply(*p, x)[0], (S((2, 3, 8, 8), (5, 3, 8, 8)),)),
    "sizes of pictures": ("cnn", lambda p, x: CNN.apply(*p, x)[0], (S((2, 3, 8, 8), (2, 3, 9, 12)),)),
    "lengths": ("block", lambda p, x: BLOCK.apply(*p, x)[0], (S((2, 6, 16), (2, 9, 16)),)),
    "two inputs": (W, lambda p, x, y: (x @ p).sum(0) + y.mean() + jnp.arange(70) * x.shape[0],
                   (S((2, 3), (4, 3)), S((5,), (7,)))),
    "arrays that follow from sizes": (W, lambda p, x: jnp.where(jnp.arange(len(x))[:, None] % 2 == 0, x, 0.5)
                                      + jnp.tril(jnp.ones((len(x), 3))), (S((2, 3), (4, 3), (7, 3)),)),
    "slices": (W, lambda p, x: jnp.concatenate([x[::-1], x[1:]]), (S((3, 3), (4, 3), (7, 3)),)),
    "loops": (W, lambda p, x: lax.while_loop(lambda c: c[1] < len(x), lambda c: (c[0] + jnp.arange(len(x))[:, None],
                                                                                  c[1] + 1), (x, 0))[0],
              (S((3, 3), (5, 3)),)),
    "bools": (W, lambda p, x: jnp.where(np.arange(3) < len(x) - 2, x, -x), (S((3, 3), (4, 3)),)),
}  # fmt: skip


def params_of(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    layer, shape = (CNN, (2, 3, 8, 8)) if given == "cnn" else (BLOCK, (2, 6, 16))
    return layer.init(aj.random.key(0), aj.ShapeDtypeStruct(shape, "float32"))


@pytest.mark.parametrize("name", CASES)
def test_each_shape_gives_what_a_function_of_its_own_gives(tmp_path: Path, name: str) -> None:
    params, function, shapes = CASES[name]
    params = params_of(params)
    path = aj.export.coreml(function, *shapes, path=tmp_path / "f.mlpackage", params=params, one_function=True)
    package = Package(path)
    names = [port.name for port in package.spec.description.input]
    assert [*package.program.functions] == ["main"]
    for sizes in zip(*(s.shapes for s in shapes)):
        given = [normal(*shape) for shape in sizes]
        got = package(dict(zip(names, given)))["output"]
        want = np.asarray(function(params, *given))
        assert got.shape == want.shape
        close(got, want, 8)


def test_what_the_package_says(tmp_path: Path) -> None:
    """All sizes of ranges, or a list; an output of several shapes has none in its description."""

    def said(*shapes: S, **options: Any) -> Any:
        path = tmp_path / f"{len([*tmp_path.iterdir()])}.mlpackage"
        aj.export.coreml(lambda x: x * 2, *shapes, path=path, one_function=True, **options)
        return Package(path).spec.description

    whole = said(S((range(2, 6), 3)))
    array = whole.input[0].type.multiArrayType
    assert list(array.shape) == [2, 3] and not whole.output[0].type.multiArrayType.shape
    assert [(r.lowerBound, r.upperBound) for r in array.shapeRange.sizeRanges] == [(2, 5), (3, 3)]
    array = said(S((4, 3), (2, 3), (8, 3))).input[0].type.multiArrayType
    assert [list(s.shape) for s in array.enumeratedShapes.shapes] == [[4, 3], [2, 3], [8, 3]]
    pictures = {"images": {"x": aj.export.Image()}}
    image = said(S((1, 3, range(8, 11), range(16, 18))), **pictures).input[0].type.imageType
    sizes = image.imageSizeRange
    assert (image.height, image.width) == (8, 16)
    assert (sizes.heightRange.lowerBound, sizes.heightRange.upperBound) == (8, 10)
    assert (sizes.widthRange.lowerBound, sizes.widthRange.upperBound) == (16, 17)
    image = said(S((1, 3, 8, 8), (1, 3, 16, 8)), **pictures).input[0].type.imageType
    assert [(s.height, s.width) for s in image.enumeratedSizes.sizes] == [(8, 8), (16, 8)]


def test_with_weights_of_few_bits_beside_a_function_of_one_shape(tmp_path: Path) -> None:
    w, heard = normal(64, 32), list[str]()
    functions = {
        "several": aj.export.Function(lambda p, x: x @ p, S((2, 64), (5, 64)), params=w),
        "one": aj.export.Function(lambda p, x: x @ p, normal(3, 64), params=w),
    }
    path = aj.export.coreml(functions, path=tmp_path / "f.mlpackage", weights="int8", precision="float16",
                            one_function=True, report=lambda name, error: heard.append(name))  # fmt: skip
    package = Package(path)
    assert sorted(package.program.functions) == ["one", "several"] and len(heard) == 2
    for name, rows in (("several", 2), ("several", 5), ("one", 3)):
        x = normal(rows, 64)
        np.testing.assert_allclose(package({"x": x}, name)["output"], x @ w, atol=0.5)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: x * 2 if len(x) == 2 else x, "takes other operations"),
        (lambda x: x * 2 if len(x) == 2 else x + 2, "takes mul otherwise"),
        (lambda x: x * np.arange(len(x), 0, -1, dtype=np.float32)[:, None], "computes with other arrays of float32"),
        (lambda x: x.sum(0 if len(x) == 2 else 1), "has another axes in reduce_sum, which must be a constant"),
        (
            lambda x: (x > 1) if len(x) == 2 else (x > 1).astype(np.float32),
            "makes arrays of other types|otherwise|other",
        ),
    ],
)
def test_functions_that_do_other_things(tmp_path: Path, function: Any, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        aj.export.coreml(function, S((2, 3), (4, 3)), path=tmp_path / "f.mlpackage", one_function=True)
    assert not any(tmp_path.iterdir())
