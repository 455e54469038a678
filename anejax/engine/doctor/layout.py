"""Probes of ports, memory and parameters. If one fails, every program is wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from anejax.engine.doctor.bench import difference, execute, half, left_to_the_cpu, program, smallest, stats, tolerance
from anejax.engine.doctor.probes import Answer, Asked, Probe, Refusals
from anejax.errors import DeviceError
from anejax.mil.limits import LIMITS
from anejax.mil.opset import OPSET
from anejax.mil.program import NUMPY_DTYPES, Builder, Type, Value
from anejax.paths import cache_dir
from anejax.runtime.engine import why_not_resident
from anejax.runtime.programs import compiled

WIDTHS = (1, 2, 15, 16, 20, 31, 32, 33, 40, 63, 64, 65, 127)
UNITS = 4  # of float16's last place


def _compared(got: list[np.ndarray], want: list[np.ndarray], what: str, units: float = UNITS) -> str:
    """A description of the error, or "" if there is none."""
    said = (difference(g, w, tolerance(w, units))[1] for g, w in zip(got, want, strict=True))
    return next((f"{what}: {s}" for s in said if s), "")


def _must(wrong: list[str], said: str) -> Answer:
    wrong = [w for w in wrong if w]
    return Answer(not wrong, wrong[0] if wrong else said, len(wrong))


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, shape).astype(np.float16)


def port_order(asked: Asked) -> Answer:
    """Inputs and outputs declared in every order but that of their names."""
    wrong = []
    for names in (("b", "c", "a"), ("c", "a", "b"), ("B", "a", "C")):

        def body(b: Builder, *xs: Value) -> list[Value]:
            return [b.op("mul", {"x": x, "y": float(2**i)}, out=half(1, 64), hint=h)
                    for i, (x, h) in enumerate(zip(xs, ("z", "m", "y")))]  # fmt: skip

        given = [np.full((1, 64), 3 + i) for i in range(3)]
        got = asked.engine.run(program(body, *[half(1, 64)] * 3, names=names), *given)
        wrong.append(_compared(got, [x * 2**i for i, x in enumerate(given)], f"ports declared as {', '.join(names)}"))
    return _must(wrong, "ports go by their names, however they are declared")


def widths(asked: Asked) -> Answer:
    """The last axis of every port as long as rows of 64 bytes are not."""
    wrong = []
    for width in WIDTHS:
        row = half(3, width)
        text = program(lambda b, x, y, t=row: b.op("sub", {"x": x, "y": y}, out=t), row, row)
        x, y = _random(3, width), _random(3, width, seed=1)
        wrong.append(_compared(asked.engine.run(text, x, y), [x - y], f"width {width}"))
    return _must(wrong, f"rows of {', '.join(map(str, WIDTHS))} elements are dense in memory")


def elementwise_program(asked: Asked) -> Answer:
    """A program of elementwise operations alone, which a compiler may leave to the CPU: then the device refuses it, and
    such segments run on the CPU device."""
    row = half(1, 64)
    text = program(lambda b, x: b.op("add", {"x": x, "y": 0.625}, out=row), row)
    x = _random(1, 64)
    try:
        got = asked.engine.run(text, x)
    except DeviceError as err:
        if not left_to_the_cpu(err):
            raise
        return Answer(True, f"they are left to the CPU device: {err}", "refused")
    return _must([_compared(got, [x + np.float16(0.625)], "a sum")], "they run on the engine")


def padding(asked: Asked) -> Answer:
    """Tests ports whose rows are not a multiple of 64 bytes. Copies follow the strides that the system reports."""
    operands = {"transpose_x": False, "transpose_y": False}
    text = program(lambda b, x, w: b.op("matmul", {"x": x, "y": w, **operands}, out=half(3, 33)),
                   half(3, 20), half(20, 33))  # fmt: skip
    x, w = _random(3, 20), _random(20, 33, seed=1)
    compiled = asked.engine.compile(text)
    wrong = _compared(execute(compiled, [x, w]), [x.astype(np.float32) @ w.astype(np.float32)], "padded ports", 16)
    padded = int(stats(compiled)["padded"])
    said = f"{padded} of 3 ports have padded rows, and are copied row by row" if padded else "ports are dense"
    return _must([wrong], said)


def unequal_sizes(asked: Asked) -> Answer:
    """Inputs of unequal sizes, and outputs of unequal sizes."""
    sizes = ((1, 64), (5, 33), (64, 7))

    def body(b: Builder, *xs: Value) -> list[Value]:
        return [b.op("add", {"x": x, "y": 1.0}, out=x.type) for x in xs]

    given = [_random(*s, seed=i) for i, s in enumerate(sizes)]
    got = asked.engine.run(program(body, *(half(*s) for s in sizes)), *given)
    return _must([_compared(got, [x + np.float16(1) for x in given], "ports of unequal sizes")],
                 "ports of one side need not be of one size")  # fmt: skip


def matmul_flags(asked: Asked) -> Answer:
    """Both operands computed, all transpositions, ranks 2 to 4, one matrix for a batch."""
    wrong = []
    for (xb, yb), tx, ty in itertools.product((((), ()), ((2,), (2,)), ((2, 3), (2, 3)), ((2,), (1,))),
                                              (False, True), (False, True)):  # fmt: skip
        x, y = _random(*xb, *((5, 6) if not tx else (6, 5))), _random(*yb, *((6, 7) if not ty else (7, 6)), seed=1)

        def body(b: Builder, p: Value, q: Value, tx: bool = tx, ty: bool = ty, batch: tuple[int, ...] = xb) -> Value:
            operands = {"x": p, "y": q, "transpose_x": tx, "transpose_y": ty}
            return b.op("matmul", operands, out=half(*batch, 5, 7))

        wide = [a.astype(np.float64).swapaxes(-1, -2) if t else a.astype(np.float64) for a, t in ((x, tx), (y, ty))]
        what = f"transpose_x {tx}, transpose_y {ty}, {list(x.shape)} and {list(y.shape)}"
        got = asked.engine.run(program(body, half(*x.shape), half(*y.shape)), x, y)
        wrong.append(_compared(got, [wide[0] @ wide[1]], what))
    return _must(wrong, "16 products of computed matrices, transposed or not, are right")


def concat_axes(asked: Asked) -> Answer:
    """concat along each axis of rank 4."""
    wrong = []
    for axis in range(4):
        shapes = [tuple(n + k * (i == axis) for i, n in enumerate((2, 3, 2, 5))) for k in (0, 2)]
        given = [_random(*s, seed=i) for i, s in enumerate(shapes)]
        want = np.concatenate(given, axis)

        def body(b: Builder, *xs: Value, axis: int = axis, shape: tuple[int, ...] = want.shape) -> Value:
            return b.op("concat", {"values": xs, "axis": axis, "interleave": False}, out=half(*shape))

        got = asked.engine.run(program(body, *(half(*s) for s in shapes)), *given)
        wrong.append(_compared(got, [want], f"concat along axis {axis}"))
    return _must(wrong, "arrays are joined along every axis of rank 4")


def computed_weight(asked: Asked) -> Answer:
    """A convolution whose weight is an input, at batch 1: one report says that such weights are ignored."""
    x, w = _random(1, 4, 5, 6), _random(3, 4, 1, 1, seed=1)

    def body(b: Builder, x: Value, w: Value) -> Value:
        return b.op("conv", {"x": x, "weight": w, **CONV}, out=half(1, 3, 5, 6))

    want = np.einsum("oc,nchw->nohw", w[:, :, 0, 0].astype(np.float64), x.astype(np.float64))
    got = asked.engine.run(program(body, half(*x.shape), half(*w.shape)), x, w)
    return _must([_compared(got, [want], "a convolution")], "a weight that is an input is used, at batch 1")


CONV = {"strides": [1, 1], "pad_type": "valid", "pad": [0, 0, 0, 0], "dilations": [1, 1], "groups": 1}


def several_constants(asked: Asked) -> Answer:
    """Two constants in one weight file, and one in the text."""
    constants = [_random(9, 11, seed=i) for i in range(2)]
    got = asked.engine.run(_with_constants(*constants), np.zeros((9, 11)))
    want = constants[0].astype(np.float64) + constants[1]
    return _must([_compared(got, [want], "two constants")], "one weight file holds several constants")


def _with_constants(*constants: np.ndarray) -> str:
    def body(b: Builder, x: Value) -> Value:
        for c in constants:
            x = b.op("add", {"x": x, "y": b.const(c)}, out=x.type)
        return b.op("mul", {"x": x, "y": 1.0}, out=x.type)

    return program(body, half(*constants[0].shape))


def rewritten_weights(asked: Asked) -> Answer:
    """A weight file that someone changed on the disk, after the program was compiled."""
    constant = _random(8, 13, seed=5)
    text = _with_constants(constant)
    zeros = np.zeros(constant.shape)
    asked.engine.run(text, zeros)
    changed = [_flip(path) for path in cache_dir().glob("programs/*/weights.bin") if _holds(path, constant)]
    wrong = _compared(asked.engine.run(text, zeros), [constant], "after the weight file was changed")
    if not wrong and not changed:
        wrong = "no weight file holds the constant: was it compiled elsewhere?"
    return _must([wrong], "a changed weight file is noticed, and the program compiled again")


def _holds(path: Path, constant: np.ndarray) -> bool:
    return constant.tobytes() in path.read_bytes()


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[128:] = bytes(len(data) - 128)  # past the header and the first descriptor
    path.write_bytes(data)


def repeated_runs(asked: Asked) -> Answer:
    """Tests that an operation encoded once reads new inputs, and returns equal bits for equal inputs."""
    compiled = asked.engine.compile(smallest(0.25))
    first, other = _random(1, 64), _random(1, 64, seed=1)
    runs = [execute(compiled, [x])[0] for x in (first, other, first)]
    wrong = _compared(runs, [x + x + np.float16(0.25) for x in (first, other, first)], "a later run")
    if not wrong and runs[0].tobytes() != runs[2].tobytes():
        wrong = "equal inputs gave other bits"
    return _must([wrong], "later runs read their inputs anew, and repeat to the bit")


def port_dtypes(asked: Asked) -> Answer:
    """Integer inputs, cast inside."""
    refusals, accepted, wrong = Refusals(), ["fp16"], []
    readable = OPSET["cast"].type_var("T")
    assert readable is not None
    for dtype in (d for d in LIMITS[asked.family].port_dtypes if d != "fp16" and d in readable.on("ane")):

        def body(b: Builder, x: Value) -> Value:
            return b.op("cast", {"x": x, "dtype": "fp16"}, out=half(1, 64))

        x = np.arange(64, dtype=NUMPY_DTYPES[dtype]).reshape(1, 64)
        text = program(body, Type(dtype, (1, 64)))
        got = refusals.tried(dtype, lambda text=text, x=x: asked.engine.run(text, x))
        if got is not None:
            accepted.append(dtype)
            wrong.append(_compared(got, [x.astype(np.float64)], f"a port of {dtype}"))
    answer = _must(wrong, f"ports may be {', '.join(accepted)}{refusals}")
    return Answer(answer.fine and not refusals.reasons, answer.said, accepted)


def resident_state(asked: Asked) -> Answer:
    """Tests an output in the buffer of an input, with an accumulator and with a product that reads whole rows."""
    device = asked.engine.device
    why = why_not_resident(device)
    if why is not None:
        return Answer(True, f"state is copied at each run: {why}", "copied")
    square = half(128, 128)
    text = program(
        lambda b, s, p: b.op("matmul", {"x": s, "y": p, "transpose_x": False, "transpose_y": False}, out=square),
        square,
        square,
    )
    state, shift = _random(128, 128), np.roll(np.eye(128), 1, axis=1)
    (got,) = execute(compiled(device, text, shared=((0, 0),)), [state, shift])
    if _compared([got], [np.roll(state, 1, axis=1)], "a product"):
        return Answer(True, "state stays between runs, but that of products is wrong, and copied", "some")
    return Answer(True, "state stays between runs, that of products too", "all")


LAYOUT = [
    Probe("order of ports", port_order),
    Probe("widths of rows", widths, ("native.kPlainMemory", "native.kBufferGranule")),
    Probe("programs of elementwise operations alone", elementwise_program),
    Probe("strides of ports", padding, ("native.Layout",)),
    Probe("unequal sizes", unequal_sizes, ("native.kBufferGranule",)),
    Probe("flags of matmul", matmul_flags),
    Probe("axes of concat", concat_axes),
    Probe("computed weight of conv", computed_weight),
    Probe("several constants", several_constants, ("native.kMaxInlineElements", "native.kAlignment")),
    Probe("rewritten weights", rewritten_weights),
    Probe("repeated runs", repeated_runs),
    Probe("resident state", resident_state),
    Probe("dtypes of ports", port_dtypes, ("limits.LIMITS",), may_refuse=True),
]
