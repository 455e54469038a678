"""`export.coreml`: what is written is read, typed and computed by coremltools as the function computes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax.errors import DtypeError, ExportError, RefusedError, ShapeError
from anejax.export.compress import SCHEMES, centers, nearest
from anejax.mil.program import Type, Value
from anejax.models import cifar
from tests.export.evaluate import WEIGHTS, Package

RNG = np.random.default_rng(0)
EPS = float(np.finfo(np.float32).eps)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ports(package: Package) -> tuple[list[str], list[str], list[str]]:
    """The names of inputs, outputs and states."""
    said = package.spec.description
    return [i.name for i in said.input], [o.name for o in said.output], [s.name for s in said.state]


def close(got: Any, want: Any, eps: float = 4) -> None:
    want = np.asarray(want, np.float64)
    assert np.abs(np.asarray(got, np.float64) - want).max() <= eps * EPS * max(1, np.abs(want).max())


def test_cnn_of_the_demo(tmp_path: Path) -> None:
    model = cifar.demo()
    x = normal(2, 3, 32, 32)
    params = model.init(aj.random.key(0), x)
    package = Package(aj.export.coreml(model, x, path=tmp_path / "cnn.mlpackage", params=params, outputs="logits"))
    assert ports(package) == (["x"], ["logits"], [])
    want, _ = model.apply(*params, x)
    close(package({"x": x})["logits"], want)
    weights = sum(np.asarray(w).nbytes for w in aj.tree.leaves(params))
    size = (tmp_path / "cnn.mlpackage" / WEIGHTS / "weight.bin").stat().st_size
    assert 0.95 * weights < size < 1.05 * weights


def test_names_come_from_arguments_and_results(tmp_path: Path) -> None:
    def f(image: Any, options: Any, *rest: Any) -> Any:
        return {"sum": image + options["bias"], "parts": (rest[0] * 2, rest[1] - 1)}

    x = normal(3, 5)
    args = (x, {"bias": normal(5)}, normal(2), normal(1))
    package = Package(aj.export.coreml(aj.jit(f), *args, path=tmp_path / "f.mlpackage"))
    inputs = ["image", "options_bias", "rest_0", "rest_1"]
    assert ports(package) == (inputs, ["parts_0", "parts_1", "sum"], [])
    got = package(dict(zip(inputs, aj.tree.leaves(args))))
    close(got["sum"], x + args[1]["bias"], 0)


def test_names_may_be_given_and_stay_distinct(tmp_path: Path) -> None:
    same = Package(aj.export.coreml(lambda x: {"x": x + 1, "add": x}, normal(3), path=tmp_path / "a.mlpackage"))
    assert ports(same) == (["x"], ["add", "x_1"], [])
    given = Package(
        aj.export.coreml(lambda x: (x, x), normal(3), path=tmp_path / "b.mlpackage", inputs=["in"], outputs=["a", "b"])
    )
    x = normal(3)
    got = given({"in": x})  # returned inputs, twice
    close(got["a"], x, 0)
    close(got["b"], x, 0)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint16", "float16"])
def test_ports_are_cast_at_the_border(tmp_path: Path, dtype: str) -> None:
    function = (lambda x: ~x) if dtype == "bool" else lambda x: x * 1
    spec = aj.ShapeDtypeStruct((3,), dtype)
    package = Package(aj.export.coreml(function, spec, path=tmp_path / "f.mlpackage"))
    border = np.float16 if dtype == "float16" else np.int32
    got = package({"x": np.array([0, 1, 1], border)})["output"]
    assert got.dtype == border
    np.testing.assert_array_equal(got, [1, 0, 0] if dtype == "bool" else [0, 1, 1])


def test_scalars_have_ports_of_one_element(tmp_path: Path) -> None:
    package = Package(aj.export.coreml(lambda x, y: x * y, np.float32(0), normal(4), path=tmp_path / "f.mlpackage"))
    y = normal(4)
    close(package({"x": np.array([3], np.float32), "y": y})["output"], 3 * y, 0)


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    w = jnp.asarray(normal(100, 7))
    functions = {
        "forward": aj.export.Function(lambda p, x: x @ p, normal(2, 100), params=w),
        "both": aj.export.Function(lambda p, x: (x @ p, x @ (p * 1)), normal(5, 100), params=w),
    }
    package = Package(aj.export.coreml(functions, path=tmp_path / "f.mlpackage"))
    assert (tmp_path / "f.mlpackage" / WEIGHTS / "weight.bin").stat().st_size < 1.1 * w.nbytes
    for name, rows in (("forward", 2), ("both", 5)):
        x = normal(rows, 100)
        got = package({"x": x}, name)
        close(next(iter(got.values())), x.astype(np.float64) @ np.asarray(w, np.float64), 16)


def test_several_shapes(tmp_path: Path) -> None:
    """A function for each shape; what they share is stored once, and the first one is the default."""
    w = normal(3, 70)
    f = lambda p, x, y: {"p": aj.nn.softmax(x @ p["w"] + y.sum(-1, keepdims=True))}  # noqa: E731
    args = aj.export.Shapes((5, 3), (range(1, 4, 2), 3)), {"y": aj.export.Shapes((5, 1), (1, 2), (3, 2))}
    path = aj.export.coreml(lambda p, x, o: f(p, x, o["y"]), *args, path=tmp_path / "f.mlpackage", params={"w": w})
    package = Package(path)
    assert sorted(package.program.functions) == ["main_1_1x2", "main_3_3x2", "main_5_5x1"]
    assert package.spec.description.defaultFunctionName == "main_5_5x1"
    assert (path / WEIGHTS / "weight.bin").stat().st_size < 1.3 * w.nbytes
    for name, shapes in zip(sorted(package.program.functions), (((1, 3), (1, 2)), ((3, 3), (3, 2)), ((5, 3), (5, 1)))):
        x, y = (normal(*shape) for shape in shapes)
        close(package({"x": x, "o_y": y}, name)["p"], f({"w": w}, x, y)["p"], 16)
    alone = aj.export.coreml(f, args[0], args[0], path=tmp_path / "g.mlpackage", params={"w": w}, labels=None)
    assert sorted(Package(alone).program.functions) == ["main_1", "main_3", "main_5"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ((), "expected one shape or more"),
        (((3,), (3, 4)), "as many axes as each other"),
        (((3,), (4,), (3,)), r"shapes that differ, got \(3,\) twice"),
        (((3, 0),), "sizes of 1 or more, got 0"),
        (((range(3),),), r"sizes of 1 or more, got range\(0, 3\)"),
        (((range(3, 3),),), r"sizes of 1 or more, got range\(3, 3\)"),
        (((3.0,),), "integers or ranges of them, got 3.0"),
        ((3,), "tuples of sizes, got 3"),
        (((range(1, 13), range(1, 13)),), "at most 128 shapes of an argument, got 144"),
        (((range(1, 10**12),),), "at most 128 shapes"),
    ],
)
def test_shapes_that_will_not_do(shapes: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        aj.export.Shapes(*shapes)


def test_half_of_the_weights(tmp_path: Path) -> None:
    w = normal(100, 7)
    path = aj.export.coreml(lambda p, x: x @ p, normal(2, 100), path=tmp_path / "f.mlpackage", params=w,
                            weights="float16")  # fmt: skip
    assert (path / WEIGHTS / "weight.bin").stat().st_size < 0.6 * w.nbytes
    x = normal(2, 100)
    close(Package(path)({"x": x})["output"], x.astype(np.float64) @ w.astype(np.float16).astype(np.float64), 16)


def test_weights_of_one_byte(tmp_path: Path) -> None:
    """Rounded to a 127th of the largest of each output channel, and computed with by coremltools."""
    w, k, bias = normal(100, 7) * 10.0 ** np.arange(7, dtype=np.float32), normal(8, 3, 3, 3), normal(7)
    f = lambda p, x, im: (x @ p["w"] + p["b"], aj.lax.conv_general_dilated(im, p["k"], (1, 1), "SAME"))  # noqa: E731
    x, image, heard = normal(2, 100), normal(1, 3, 5, 6), {}
    params = {"w": w, "b": bias, "k": k}
    path = aj.export.coreml(f, x, image, path=tmp_path / "f.mlpackage", params=params, weights="int8",
                            report=heard.__setitem__)  # fmt: skip
    assert set(heard) == {"params_w", "params_k"} and all(1e-3 < e < 1e-2 for e in heard.values())
    got = Package(path)({"x": x, "im": image})
    step = np.abs(w).max(0) / 127
    want = x.astype(np.float64) @ (np.rint(w / step) * step) + bias
    np.testing.assert_allclose(got["output_0"], want, rtol=1e-5, atol=1e-4)
    step = np.abs(k).max((1, 2, 3), keepdims=True) / 127
    close(got["output_1"], f({**params, "k": np.rint(k / step) * step}, x, image)[1], 16)
    assert (path / WEIGHTS / "weight.bin").stat().st_size < 0.3 * (w.nbytes + k.nbytes) + 1024


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if s != "float16"])
def test_what_weights_are_stored_as(tmp_path: Path, scheme: str) -> None:
    """coremltools reads from the file what the scheme gives, in as many bytes as it says."""
    w, k = normal(96, 71) * 10.0 ** np.linspace(-1, 1, 71, dtype=np.float32), normal(9, 3, 3, 3)
    f = lambda p, x, im: (x @ p["w"], aj.lax.conv_general_dilated(im, p["k"], (1, 1), "SAME"))  # noqa: E731
    x, image, heard = np.eye(96, dtype=np.float32), normal(1, 3, 5, 6), {}
    path = aj.export.coreml(f, x, image, path=tmp_path / "f.mlpackage", params={"w": w, "k": k}, weights=scheme,
                            report=heard.__setitem__)  # fmt: skip
    got = Package(path)({"x": x, "im": image})
    stored = [SCHEMES[scheme].make(Value("w", Type("fp32", a.shape), a), a)[1].astype(np.float32) for a in (w, k)]
    np.testing.assert_array_equal(got["output_0"], stored[0])
    close(got["output_1"], f({"w": stored[0], "k": stored[1]}, x, image)[1], 16)
    for name, before, after in zip(("params_w", "params_k"), (w, k), stored):
        assert np.isclose(heard[name], np.linalg.norm(before - after) / np.linalg.norm(before))
    bits = int("".join(filter(str.isdigit, scheme)))
    scales = 4 * (71 + 9) * (3 if "block" in scheme else 1) if "int" in scheme else 8 * 2**bits
    assert (path / WEIGHTS / "weight.bin").stat().st_size <= (w.size + k.size) * bits / 8 + scales + 8 * 64 + 128


def test_means_of_clusters() -> None:
    """Near the best that there is for normal numbers (Max, 1960), and exact where there are few values."""
    x = np.random.default_rng(0).standard_normal(100_000)
    for bits, best in ((1, 0.3634), (2, 0.1175), (3, 0.03454), (4, 0.009497), (5, 0.002499)):
        table = centers(x, 2**bits)
        assert np.all(np.diff(table) > 0)
        assert np.mean((x - table[nearest(x, table)]) ** 2) < 1.03 * best
    few = np.repeat([3.0, -1.0, 7.5], [1, 5, 3])
    np.testing.assert_array_equal(centers(few, 4), [-1, 3, 7.5, 7.5])
    np.testing.assert_array_equal(centers(np.zeros(7), 2), [0, 0])


def test_blocks_that_do_not_divide(tmp_path: Path) -> None:
    """A scale for the whole channel then."""
    w = normal(33, 5)
    path = aj.export.coreml(lambda p, x: x @ p, np.eye(33, dtype=np.float32), path=tmp_path / "f.mlpackage", params=w,
                            weights="int4-block")  # fmt: skip
    step = np.abs(w).max(0) / 7
    got = Package(path)({"x": np.eye(33, dtype=np.float32)})["output"]
    np.testing.assert_allclose(got, np.rint(w / step) * step, rtol=1e-6)


def test_pictures(tmp_path: Path) -> None:
    image = aj.export.Image(scale=1 / 255, bias=(-0.5, 0.0, 0.25), layout="BGR")
    path = aj.export.coreml(lambda photo: photo.sum((2, 3)), aj.ShapeDtypeStruct((1, 3, 5, 7), "float32"),
                            path=tmp_path / "f.mlpackage", images={"photo": image})  # fmt: skip
    package = Package(path)
    kind = package.spec.description.input[0].type.imageType
    assert (kind.height, kind.width, kind.colorSpace) == (5, 7, kind.ColorSpace.Value("BGR"))
    pixels = RNG.integers(0, 256, (1, 3, 5, 7)).astype(np.float32)
    want = (pixels / 255 + np.array([-0.5, 0.0, 0.25]).reshape(1, 3, 1, 1)).sum((2, 3))
    close(package({"photo": pixels})["output"], want)


@pytest.mark.parametrize("names", [("cat", "dog", "\u732b"), (7, -(2**40), 0)])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")  # coremltools' folder of weights
def test_labels(tmp_path: Path, names: Any, several: bool) -> None:
    """The outputs that coremltools' ClassifierConfig makes, with the probabilities as they are."""
    coremltools = pytest.importorskip("coremltools")
    dtype = np.float16 if several else np.float32

    def f(x: Any) -> Any:
        p = aj.nn.softmax(x)
        return {"more": x * 2, "p": p.astype(dtype)} if several else p.reshape(1, 3)

    labels = aj.export.Labels(names, output="p", predicted="animal") if several else list(names)
    label = "animal" if several else "classLabel"
    path = aj.export.coreml(f, X, path=tmp_path / "f.mlpackage", labels=labels, descriptions={label: "a kind"})
    package, x = Package(path), np.array([0.5, 2.0, -1.0], np.float32)
    got, want = package({"x": x}), np.asarray(aj.nn.softmax(x)).astype(dtype)
    assert list(got) == [label, f"{label}_probs", *["more"] * several]
    assert got[label] == names[1] and got[f"{label}_probs"] == dict(zip(names, want.astype(np.float32).tolist()))
    said = package.spec.description
    assert (said.predictedFeatureName, said.predictedProbabilitiesName) == (label, f"{label}_probs")
    assert said.output[0].shortDescription == "a kind"
    theirs = coremltools.ClassifierConfig(list(names), label)
    assert _converted(theirs).output[:2] == _without_descriptions(said).output[:2]


def _converted(config: Any) -> Any:
    """The description of a classifier that coremltools converts."""
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec((3,))], opset_version=ct.target.iOS18)
    def program(x: Any) -> Any:
        return mb.softmax(x=x, axis=-1)  # type: ignore[attr-defined]

    model: Any = ct.convert(program, convert_to="mlprogram", classifier_config=config, skip_model_load=True,
                       minimum_deployment_target=ct.target.iOS18)  # fmt: skip
    return model.get_spec().description


def _without_descriptions(said: Any) -> Any:
    for port in said.output:
        port.ClearField("shortDescription")
    return said


def test_metadata_and_descriptions(tmp_path: Path) -> None:
    said = aj.export.Metadata("A. Author", "MIT", "1.2", "Doubles.", {"source": "a test"})
    path = aj.export.coreml(lambda x: 2 * x, normal(3), path=tmp_path / "f.mlpackage", metadata=said,
                            descriptions={"x": "a number", "output": "twice as much"})  # fmt: skip
    description = Package(path).spec.description
    meta = description.metadata
    assert (meta.author, meta.license, meta.versionString, meta.shortDescription) == (
        "A. Author",
        "MIT",
        "1.2",
        "Doubles.",
    )
    assert dict(meta.userDefined)["source"] == "a test"
    assert (description.input[0].shortDescription, description.output[0].shortDescription) == (
        "a number",
        "twice as much",
    )


def test_state(tmp_path: Path) -> None:
    def running(params: Any, state: Any, x: Any) -> Any:
        mean = 0.5 * state["mean"] + 0.5 * x.mean(0)
        return (x - mean) * params, {"mean": mean}

    path = aj.export.coreml(running, normal(4, 3), path=tmp_path / "f.mlpackage", params=normal(3),
                            state={"mean": jnp.zeros(3)})  # fmt: skip
    package = Package(path)
    assert ports(package) == (["x"], ["output"], ["state_mean"])
    x = np.ones((4, 3), np.float32)
    for _ in range(3):
        package({"x": x})
    np.testing.assert_array_equal(package.states["state_mean"], np.full(3, 0.875, np.float16))


X = normal(3)
NAN = np.full(3, np.nan, np.float32)


def printed(x: Any) -> Any:
    aj.debug.print("{}", x)
    return x * 2


WRONG: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], type[Exception], str]] = {
    "suffix": (lambda x: x, (X,), {"path": "f.mlmodel"}, ExportError, "ends in .mlpackage, got 'f.mlmodel'"),
    "nothing": (lambda x: None, (X,), {}, ExportError, "to return arrays, got None"),
    "scalar": (lambda x, n: x * n, (X, 3), {}, ExportError, "n: expected an array or a ShapeDtypeStruct, got int 3"),
    "dtype": (lambda x: x, (aj.ShapeDtypeStruct((3,), "bfloat16"),), {}, DtypeError, "x: expected .*, got bfloat16"),
    "dtype inside": (lambda x: (x.astype("bfloat16") + 1).astype(x.dtype), (X,), {}, DtypeError,
                     "Core ML has no bfloat16, which convert"),
    "weights": (lambda x: x, (X,), {"weights": "int3"}, ExportError, "expected weights to be None or"),
    "names": (lambda x: x, (X,), {"outputs": ["a", "b"]}, ExportError, r"expected 1 names for the outputs"),
    "name": (lambda x: x, (X,), {"inputs": ["1 x"]}, ExportError, "names of letters, digits and _"),
    "twice": (lambda x: x, (X,), {"inputs": ["a"], "outputs": ["a"]}, ExportError, "that no other port has"),
    "state": (lambda s, x: x, (X,), {"state": X}, ExportError, r"to return \(result, new state\)"),
    "state type": (lambda s, x: (x, s[:2]), (X,), {"state": X}, ExportError, "to return s as float32"),
    "state dtype": (lambda s, x: (x, s), (X,), {"state": np.arange(3, dtype=np.int32)}, DtypeError, "s: expected fl"),
    "state is missing": (lambda s, x: (x, None), (X,), {"state": X}, ExportError, "state: expected an array, got None"),
    "result alone": (lambda s, x: x, (X,), {"state": X}, ExportError, r"\(result, new state\), .* float32.3. alone"),
    "result of three": (lambda s, x: (x, s, s), (X,), {"state": X}, ExportError, "new state.*, got a tuple of 3"),
    "key as state": (lambda s, x: (x, s), (X,), {"state": {"key": aj.random.key(0)}}, DtypeError,
                     r"s\['key'\]: expected float32 or float16, .* got uint32.2.; take it as an input"),
    "size 0": (lambda x: x + 1, (X[:0],), {}, ExportError, "x: expected no axis of size 0, .* got float32.0."),
    "size 0 of a result": (lambda x: x[:0], (X,), {}, ExportError, "the result: expected no axis of size 0"),
    "size 0 of a state": (lambda s, x: (x, s), (X,), {"state": X[:0]}, ExportError, "s: expected no axis of size 0"),
    "size 0 inside": (lambda x: jnp.concatenate([x[:0], x]) + x[:0].sum(), (X,), {}, RefusedError,
                      r"slice_by_size at .*test_export_coreml.py:\d+ .*: expected no axis of size 0"),
    "rank": (lambda x: x + 1, (X.reshape(1, 1, 1, 1, 1, 3),), {}, ExportError, "x: expected at most 5 axes, .* got"),
    "rank inside": (lambda x: (x.reshape(1, 1, 1, 1, 1, 3) * 2).reshape(3), (X,), {}, RefusedError,
                    r"reshape at .*test_export_coreml.py:\d+ .*: expected at most 5 axes"),
    "NaN": (lambda x: x + NAN, (X,), {}, RefusedError, r"add at .*test_export_coreml.py:\d+ .*: expected finite const"),
    "operation": (jnp.linalg.cholesky, (np.eye(3, dtype=np.float32),), {}, RefusedError,
                  r"cholesky cannot be had on coreml: MIL has no factorizations; .* at .*test_export_coreml.py:\d+"),
    "operation in a loop": (lambda x: aj.lax.fori_loop(0, 3, lambda i, x: aj.lax.lgamma(x), x), (X,), {}, RefusedError,
                            r"lgamma cannot be had on coreml: .* at .*test_export_coreml.py:\d+"),
    "sum of uint32": (lambda x: aj.lax.reduce_sum(x, (0,)), (np.zeros(32769, np.uint32),), {}, RefusedError,
                      r"over 32769 elements .* only of 32768. It is asked for at .*test_export_coreml.py:\d+"),
    "print": (printed, (X,), {}, RefusedError,
              r"expected no debug.print at .*test_export_coreml.py:\d+ .*: an exported package cannot call Python"),
    "print in a loop": (lambda x: aj.lax.fori_loop(0, 3, lambda i, x: printed(x), x), (X,), {}, RefusedError,
                        r"expected no debug.print at"),
    "image": (lambda x: x, (X,), {"images": {"x": aj.export.Image()}}, ExportError, "for a picture"),
    "layer": (aj.nn.Linear(2), (X,), {}, ExportError, r"expected params=\(params, state\) for a layer"),
    "labels": (lambda x: x, (X,), {"labels": ["a", "b"]}, ExportError, "one for each of the 2 labels, got float32.3"),
    "label of no text": (lambda x: x, (X,), {"labels": ["a", "b", "\udc80"]}, ExportError, "a label to be a string of"),
    "author of no text": (lambda x: x, (X,), {"metadata": aj.export.Metadata(author="\udc80")}, ExportError,
                          "expected author to be a string of UTF-8"),
    "metadata of no text": (lambda x: x, (X,), {"metadata": aj.export.Metadata(more={"a": 1})}, ExportError,  # type: ignore[dict-item]
                            "expected a to be a string of UTF-8, got 1"),
    "labels of a batch": (lambda x: jnp.stack([x, x]), (X,), {"labels": ["a", "b", "c"]}, ExportError,
                          "have no batches, got float32.2,3"),
    "label twice": (lambda x: x, (X,), {"labels": ["a", "b", "a"]}, ExportError, "labels that differ, got 'a' twice"),
    "label types": (lambda x: x, (X,), {"labels": ["a", 1, 2]}, ExportError, "all strings or all integers, got 1"),
    "label bool": (lambda x: x, (X,), {"labels": [True, 0, 2]}, ExportError, "all strings or all integers, got True"),
    "label size": (lambda x: x, (X,), {"labels": [2**63, 0, 2]}, ExportError, "integers of 64 bits"),
    "no labels": (lambda x: x, (X,), {"labels": []}, ExportError, "expected one label at least"),
    "labels text": (lambda x: x, (X,), {"labels": "abc"}, ExportError, "expected labels to be a list"),
    "labels of integers": (lambda x: x.astype(np.int32), (X,), {"labels": list("abc")}, ExportError, "to be floats"),
    "labels of one": (lambda x: (x, x), (X,), {"labels": ["a", "b", "c"]}, ExportError, "say which of the outputs"),
    "labels of none": (lambda x: x, (X,), {"labels": aj.export.Labels(["a", "b", "c"], "y")}, ExportError,
                       "labels of one of the outputs output, got 'y'"),
    "label's name": (lambda x: x, (X,), {"labels": aj.export.Labels(["a", "b", "c"], predicted="x")}, ExportError,
                     "names that no other port has for the label"),
    "label's description": (lambda x: x, (X,), {"labels": ["a", "b", "c"], "descriptions": {"output": ""}}, ExportError,
                            "expected descriptions of x, classLabel, classLabel_probs"),
    "shapes": (lambda x, y: x, (aj.export.Shapes((1,), (2,)), aj.export.Shapes((range(1, 4),))), {}, ExportError,
               "to have as many as each other, got 2 and 3"),
    "shapes and sizes": (lambda x: x @ np.ones((3, 2), np.float32), (aj.export.Shapes((2, 3), (2, 4)),), {}, ShapeError,
                         "matmul"),
    "no function": (3, (X,), {}, ExportError, "expected a function or a layer, got int"),
    "description": (lambda x: x, (X,), {"descriptions": {"y": ""}}, ExportError, "expected descriptions of x, output"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_writes_nothing(tmp_path: Path, name: str) -> None:
    function, args, options, error, message = WRONG[name]
    path = tmp_path / options.pop("path", "f.mlpackage") if "path" in options else tmp_path / "f.mlpackage"
    with pytest.raises(error, match=message):
        aj.export.coreml(function, *args, path=path, **options)
    assert not any(tmp_path.iterdir())


def test_names_of_functions_that_shapes_make(tmp_path: Path) -> None:
    one = aj.export.Function(lambda x: x, aj.export.Shapes((1,), (2,)))
    with pytest.raises(ExportError, match="different names, got f_2 twice: the shapes of f"):
        aj.export.coreml({"f": one, "f_2": aj.export.Function(lambda x: x, X)}, path=tmp_path / "f.mlpackage")


def test_infinities_of_constants_are_the_greatest_numbers(tmp_path: Path) -> None:
    """Core ML's constants are finite; a mask does the same with either."""
    mask = np.array([0, -np.inf, np.inf], np.float32)
    package = Package(aj.export.coreml(lambda x: x + mask, np.zeros(3, np.float32), path=tmp_path / "f.mlpackage"))
    most = np.finfo(np.float32).max
    np.testing.assert_array_equal(package({"x": np.zeros(3, np.float32)})["output"], [0, -most, most])


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    """As coremltools' ``MLModel.save`` makes them."""
    path = aj.export.coreml(lambda x: x + 1, X, path=tmp_path / "a" / "b" / "f.mlpackage")
    assert path.is_dir() and [p.name for p in path.parent.iterdir()] == ["f.mlpackage"]


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "f.mlpackage"
    path.mkdir()
    with pytest.raises(ExportError, match="is there already"):
        aj.export.coreml(lambda x: x, X, path=path)
    assert not any(path.iterdir())


def test_precision(tmp_path: Path) -> None:
    """float16 inside, float32 at the ports: no constant, and nothing between two operations, has more."""
    w, k = normal(96, 71), normal(9, 3, 3, 3)

    def f(p: Any, x: Any, im: Any) -> Any:
        y = aj.nn.softmax(jnp.log(jnp.abs(x @ p["w"]) + 1e-12))
        return y, jnp.where(im > 0, im, -1e30), aj.lax.conv_general_dilated(im, p["k"], (1, 1), "SAME").sum((2, 3))

    x, image, params = normal(2, 96), normal(1, 3, 5, 6), {"w": w, "k": k}
    for weights in (None, "int8", "float16"):
        path = aj.export.coreml(f, x, image, path=tmp_path / f"{weights}.mlpackage", params=params, weights=weights,
                                precision="float16")  # fmt: skip
        package = Package(path)
        kinds = {
            p.type.multiArrayType.dataType for p in (*package.spec.description.input, *package.spec.description.output)
        }
        assert kinds == {package.spec.description.input[0].type.multiArrayType.FLOAT32}
        got, want = package({"x": x, "im": image}), f(params, x, image)
        np.testing.assert_allclose(got["output_0"], want[0], atol=3e-3)
        assert np.abs(got["output_1"]).max() == 65504
        np.testing.assert_allclose(got["output_2"], want[2], atol=0.3)
        (block,) = package.spec.mlProgram.functions["main"].block_specializations.values()
        made = {o.type.tensorType.dataType for op in block.operations if op.type != "cast" for o in op.outputs}
        assert 11 not in made, "FLOAT32 of MIL.proto"
    with pytest.raises(ExportError, match="expected precision to be 'float32' or 'float16', got 'half'"):
        aj.export.coreml(f, x, image, path=tmp_path / "g.mlpackage", params=params, precision="half")
    assert not (tmp_path / "g.mlpackage").exists()


@pytest.mark.parametrize("lowest", [-np.inf, np.finfo(np.float32).min, -1e9])
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_masks_in_half_precision(tmp_path: Path, lowest: float) -> None:
    """No score becomes infinite, whatever an app's mask has, and the answers are those of float32."""
    q, mask = normal(1, 5, 2, 8), np.where(np.tri(5, dtype=bool), 0, lowest).astype(np.float32)
    functions = {
        "attention": lambda q, mask: aj.nn.dot_product_attention(q, q, q, bias=mask[None, None], is_causal=True),
        "softmax": lambda q, mask: aj.nn.softmax(q[0, :, 0] @ q[0, :, 0].T + mask),
        "constant": lambda q, mask: jnp.exp(
            aj.nn.log_softmax(q[0, :, 0] @ q[0, :, 0].T + jnp.where(mask < 0, lowest, 0))
        ),
    }
    for name, f in functions.items():
        path = aj.export.coreml(f, q, mask, path=tmp_path / f"{name}.mlpackage", precision="float16")
        package, seen = Package(path), list[tuple[str, Any]]()
        package.watch = lambda kind, value, seen=seen: seen.append((kind, value))
        got = package({"q": q, "mask": mask})["output"]
        np.testing.assert_allclose(got, f(q, mask), atol=5e-3)
        made = [x for op, x in seen if op not in ("cast", "reshape", "expand_dims", "tile")]
        assert all(np.isfinite(x).all() for x in made if np.asarray(x).dtype.kind == "f"), name
