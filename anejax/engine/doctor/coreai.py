"""Questions to Apple's Core AI runtime: which parts of programs it runs on the Neural Engine, how fast, and how
accurately.

On a Mac with macOS 27 or later, the answers decide whether this route to the engine is usable, and which forms programs
should have there. Elsewhere the package's runtime for the CPU answers questions that are not about placement, and the
others are skipped. Each answer gives, for each program, the number of parts on the engine (if files of the system
tell), the time of a call, and the error in units of the dtype's rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np

import anejax.numpy as jnp
from anejax import lax, nn
from anejax.api.autodiff import grad
from anejax.api.staging import make_jaxpr
from anejax.coreai.asset import check_package
from anejax.coreai.program import Fill, composite, graph, module
from anejax.coreai.text import Tensor, Text
from anejax.coreai.words import BROADCASTING, Writer
from anejax.engine.doctor.bench import execute, left_to_the_cpu, smallest
from anejax.engine.doctor.checks import SKIPPED, Check, of
from anejax.engine.doctor.coreai_process import cpu_bits, forked, handed, life, many_calls, surfaces
from anejax.engine.doctor.rows import HALF, INT, SINGLE, Found, Row, error_of, least, normal, row, told, wide
from anejax.errors import DeviceError, MissingDependencyError
from anejax.lower.to_mil import lower
from anejax.mil.limits import MASK
from anejax.mil.parse import parse
from anejax.mil.program import NUMPY_DTYPES
from anejax.mil.text import to_text
from anejax.passes.pipeline import optimize
from anejax.runtime.coreai.program import CoreAIProgram, has_engine
from anejax.runtime.library import NativeProgram

GROUP, RUNTIME = "coreai", "runtime"
NOT_HERE = "only macOS 27 and later reach the Neural Engine by Core AI, so it cannot be asked here"
Values = Sequence[Tensor]

# ---- operations as Core AI has them, without remedies


def _exactly(w: Writer, name: str, x: Tensor, y: Tensor) -> Tensor:
    return w.op(BROADCASTING + name, x, y, out=(x.shape, x.dtype))


def _conv(w: Writer, x: Tensor, kernel: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    sides = [(n - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x.shape[2:], kernel.shape[2:])]
    operands = (w.sizes([stride] * 2), w.sizes([dilation] * 2), w.sizes(1))
    return w.op("conv2d", x, kernel, *operands, out=((x.shape[0], kernel.shape[0], *sides), x.dtype))


def _pooled(w: Writer, x: Tensor, stride: int) -> Tensor:
    side = (x.shape[2] - 2) // stride + 1
    operands = (w.sizes([2, 2]), w.sizes([stride] * 2), w.sizes([1, 1]), w.constant(False))
    return w.op("max_pool_2d", x, *operands, out=((*x.shape[:2], side, side), x.dtype))


def _softmax(w: Writer, x: Tensor, axis: int) -> Tensor:
    return w.op("softmax", x, w.index(axis), out=(x.shape, x.dtype))


def _three_turns(w: Writer, carry: Values, turn: Callable[[Writer, Values], Values]) -> Tensor:
    """The last carry after a loop of three turns, whose carries are not copied."""
    first = [w.index(0), *carry]
    out = [Tensor(w.text.new(), t.shape, t.dtype) for t in first]
    test = w.region(lambda b, c: [b.greater(b.index(3), c[0]), *c], first, "condition")
    body = w.region(lambda b, c: [b.add(c[0], b.index(1)), *turn(b, c[1:])], first, "yield")
    w.regions("while", first, [test, body], out)
    return out[-1]


# ---- the questions


def products() -> Found:
    """Products with inputs and constants, as matrices and as convolutions of 1 x 1, at batch 1 and 4."""
    rows = []
    for batch in (1, 4):
        x, w = normal(batch, 64, 128), normal(128, 64)
        want = wide(x) @ wide(w)
        image, kernel = x.transpose(0, 2, 1)[:, :, None, :].copy(), w.T[:, :, None, None].copy()
        drawn = want.transpose(0, 2, 1)[:, :, None, :]
        rows += [
            row(f"batch {batch}, matmul of inputs", lambda t, v: [t.matmul(*v)], [x, w], want),
            row("by a constant", lambda t, v, w=w: [t.matmul(v[0], t.constant(w))], [x], want),
            row("1 x 1 convolution by an input", lambda t, v: [_conv(t, v[0], v[1])], [image, kernel], drawn),
            row("by a constant", lambda t, v, k=kernel: [_conv(t, v[0], t.constant(k))], [image], drawn),
        ]
    return told(rows, 32)


def dispatches() -> Found:
    """The smallest program with each choice of unit, and by e5rt in the same process."""
    x = normal(1, 64)
    fill: Fill = lambda w, v: [w.matmul(v[0], w.constant((2 * np.eye(64)).astype(HALF)))]  # noqa: E731
    rows = [row(unit, fill, [x], 2 * wide(x), unit) for unit in ("engine", "default", "cpu")]
    try:
        other = NativeProgram("ane", smallest())
        beside = Row("e5rt", us=least(lambda: execute(other, [x])))
    except DeviceError as err:
        beside = Row("e5rt", trouble=str(err))
    found = told([*rows, beside])
    return Found(told(rows, 2).fine, found.said, found.value)


def masks() -> Found:
    """Softmax with masks of three sizes added to its scores."""
    x, keep = normal(4, 64) * HALF.type(20), np.arange(64) % 3 > 0
    weights = np.where(keep, np.exp(wide(x)), 0)
    rows = []
    for value in (-40000.0, -65504.0, -np.inf):
        mask = np.where(keep, 0, value).astype(HALF)
        fill: Fill = lambda w, v, m=mask: [_softmax(w, w.add(v[0], w.constant(m)), 1)]  # noqa: E731
        rows.append(row(f"{value:g}", fill, [x], weights / weights.sum(1, keepdims=True)))
    special = np.array([[np.nan, np.inf, -np.inf, 1.0] * 16], HALF)
    rows.append(row("NaN and infinities through add", lambda w, v: [w.add(*v, *v)], [special], wide(special) * 2))
    return Found(told(rows[:1], 64).fine, told(rows).said, told(rows).value)


def sums() -> Found:
    """Products beyond 32768, and sums of more ones than float16 can count: the widths of the accumulators."""
    rows = []
    for total in (16384, 32768, 40000, 65504):
        x, w = np.full((1, 64), total / 64, HALF), np.ones((64, 64), HALF)
        rows.append(row(f"matmul to {total}", lambda t, v: [t.matmul(*v)], [x, w], np.full((1, 64), total)))
    for n in (2048, 4096):
        ones = np.ones((1, n), HALF)
        rows.append(row(f"sum of {n} ones", lambda t, v: [t.reduce("reduce_sum", v[0], [1])], [ones], [n]))
        rows.append(row("by matmul", lambda t, v: [t.matmul(*v)], [ones, ones.T.copy()], [[n]]))
    return told(rows)


def compressed() -> Found:
    """Weights in few bits: palettes, integers with a scale for each output channel, and for each block of inputs."""
    rng, x = np.random.default_rng(0), normal(4, 128)
    rows = []
    for bits, dtype in ((8, np.dtype(np.uint8)), (4, np.dtype(ml_dtypes.uint4)), (2, np.dtype(ml_dtypes.uint2))):
        table, places = normal(1, 1, 2**bits, 1), rng.integers(0, 2**bits, (128, 64))
        stored = places.astype(dtype)
        fill: Fill = lambda t, v, p=stored, table=table: [t.matmul(v[0], _looked_up(t, p, table))]  # noqa: E731
        rows.append(row(f"palette of {bits} bits", fill, [x], wide(x) @ wide(table).ravel()[places]))
    for bits, dtype in ((8, np.dtype(np.int8)), (4, np.dtype(ml_dtypes.int4))):
        data = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (128, 64)).astype(dtype)
        for name, blocks in (("for each channel", 1), ("for each 32 inputs", 4)):
            scale = np.abs(normal(blocks, 64)) / HALF.type(2**bits)
            fill = lambda t, v, d=data, s=scale: [t.matmul(v[0], _scaled(t, d, s))]  # noqa: E731
            want = wide(x) @ (wide(data) * np.repeat(wide(scale), 128 // blocks, 0))
            rows.append(row(f"{bits} bits, a scale {name}", fill, [x], want))
    return told(rows, 64)


def _looked_up(w: Writer, places: np.ndarray, table: np.ndarray) -> Tensor:
    operands = map(w.constant, (places, table, np.int16(0)))
    return w.op("lut_to_dense", *operands, out=(places.shape, HALF))


def _scaled(w: Writer, data: np.ndarray, scale: np.ndarray) -> Tensor:
    nothing = (np.zeros(scale.shape, data.dtype), np.zeros(scale.shape, HALF))
    return w.op("blockwise_shift_scale", *map(w.constant, (data, scale, *nothing)), out=(data.shape, HALF))


def steps() -> Found:
    """Tests whether Core AI runs the gradients of three networks on the engine, each as one program."""
    return told([_gradients(name, *network) for name, network in _networks().items()], 4096)


def _networks() -> dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]]:
    """Name -> (loss, its parameters); the data is captured, which makes inputs of it."""
    x, image = normal(8, 64, dtype=SINGLE), normal(2, 3, 16, 16, dtype=SINGLE)
    mask = np.where(np.tri(8, dtype=bool), 0, MASK).astype(SINGLE)

    def mlp(w: Any, v: Any) -> Any:
        return jnp.mean(jnp.square(jnp.tanh(x @ w) @ v))

    def cnn(kernel: Any, w: Any) -> Any:
        seen = nn.relu(lax.conv_general_dilated(image, kernel, (1, 1), "SAME"))
        return jnp.mean(jnp.square(seen.reshape(2, -1) @ w))

    def block(qkv: Any, out: Any) -> Any:
        q, k, v = (part.reshape(1, 8, 4, 16) for part in jnp.split(nn.standardize(x) @ qkv, 3, -1))
        attended = nn.dot_product_attention(q, k, v, bias=mask).reshape(8, 64)
        return jnp.mean(jnp.square(x + attended @ out))

    weights = lambda *shape: normal(*shape, dtype=SINGLE) / SINGLE.type(8)  # noqa: E731
    return {
        "MLP": (mlp, (weights(64, 64), weights(64, 64))),
        "CNN": (cnn, (weights(8, 3, 3, 3), weights(2048, 32))),
        "transformer block": (block, (weights(64, 192), weights(64, 64))),
    }


def _gradients(name: str, loss: Callable[..., Any], params: Sequence[np.ndarray]) -> Row:
    """The gradients of a loss, against those of the CPU device in float16."""
    slopes = grad(loss, argnums=tuple(range(len(params))))
    closed = make_jaxpr(slopes)(*params)
    inputs = [*map(np.asarray, closed.consts), *params]
    text = to_text(lower(optimize(closed.graph, "ane"), "ane"))
    try:
        program, placed = _placed(text)
        got = execute(program, inputs)
        us = least(lambda: execute(program, inputs))
    except DeviceError as err:
        return Row(name, trouble=str(err))
    want = execute(NativeProgram("cpu", text), inputs)
    return Row(name, placed, us, max(error_of(g, w) for g, w in zip(got, want, strict=True)))


def _placed(text: str) -> tuple[CoreAIProgram, int | None]:
    """The program and its parts on the engine; wherever it runs, if it has none there."""
    try:
        program = CoreAIProgram.of_mil(text)
    except DeviceError as err:
        if left_to_the_cpu(err):
            return CoreAIProgram.of_mil(text, "default"), 0
        raise
    return program, program.regions if has_engine() else None


def activations() -> Found:
    """tanh, silu and gelu as they are and by sigmoids, and exp."""
    x = np.linspace(-6, 6, 256).astype(HALF).reshape(4, 64)
    f, root = wide(x), 2 * np.sqrt(2 / np.pi)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731

    def gelu(w: Writer, v: Tensor) -> Tensor:
        inner = w.add(v, w.mul(w.mul(w.mul(v, v), v), w.like(0.044715, v)))
        return w.mul(v, w.unary("sigmoid", w.mul(inner, w.like(root, v))))

    def tanh(w: Writer, v: Tensor) -> Tensor:
        two = w.like(2, v)
        return w.sub(w.mul(two, w.unary("sigmoid", w.mul(two, v))), w.like(1, v))

    smooth = f * sigmoid(root * (f + 0.044715 * f**3))
    rows = [
        row("tanh", lambda w, v: [w.unary("tanh", v[0])], [x], np.tanh(f)),
        row("by sigmoid", lambda w, v: [tanh(w, v[0])], [x], np.tanh(f)),
        row("silu", lambda w, v: [w.unary("silu", v[0])], [x], f * sigmoid(f)),
        row("by sigmoid", lambda w, v: [w.mul(v[0], w.unary("sigmoid", v[0]))], [x], f * sigmoid(f)),
        row("gelu", lambda w, v: [w.unary("gelu", v[0], "approximate = #coreai.approximate<tanh>")], [x], smooth),
        row("by sigmoid", lambda w, v: [gelu(w, v[0])], [x], smooth),
        row("exp", lambda w, v: [w.unary("exp", v[0])], [x], np.exp(f)),
    ]
    return told(rows)


def rewritten() -> Found:
    """Arithmetic that the package's compiler rewrites (docs/export.md, 1 to 3), and carries that change places (18)."""
    i, x = np.arange(-8, 8, dtype=INT), np.linspace(1e-9, 3.7, 16).astype(SINGLE)
    one = SINGLE.type(1)

    def divided(w: Writer, v: Values) -> Values:
        return [_exactly(w, "mul", _exactly(w, "divide", v[0], w.like(4, v[0])), w.like(4, v[0]))]

    def truncated(w: Writer, v: Values) -> Values:
        return [w.op("cast", w.op("cast", v[0], out=((16,), INT)), out=((16,), SINGLE))]

    def added(w: Writer, v: Values) -> Values:
        return [_exactly(w, "sub", _exactly(w, "add", v[0], w.like(1, v[0])), w.like(1, v[0]))]

    rows = [
        row("(x / 4) * 4 of integers", divided, [i], np.trunc(i / 4) * 4),
        row("float to integer and back", truncated, [x], np.trunc(x)),
        row("(x + 1) - 1", added, [x], wide((x + one) - one)),
        row("swapped carries", lambda w, v: [_three_turns(w, v, lambda b, c: [c[1], c[0]])], [x, x + 1], wide(x)),
    ]
    return told(rows)


def fatal() -> Found:
    """Tests programs that end the process on Linux, do not lower or leave memory unset (docs/export.md, 5 to 7 and
    17): division by zero, slices out of range, reductions of nothing, branches that hand on a value."""
    zeros, x, at = np.zeros(16, INT), normal(16, dtype=SINGLE), np.array([1000], INT)

    def outside(w: Writer, v: Values) -> Values:
        return [w.op("slice", v[0], v[1], w.add(v[1], w.index([4])), w.index([1]), out=((4,), SINGLE))]

    def of_nothing(w: Writer, v: Values) -> Values:
        none = w.op("slice", v[0], w.index([0]), w.index([0]), w.index([1]), out=((0,), SINGLE))
        return [w.op("reduce_sum", none, w.index([0]), out=((1,), SINGLE))]

    def handed_on(w: Writer, v: Values) -> Values:
        out = Tensor(w.text.new(), (16,), SINGLE)
        test = w.reshape(w.greater(w.slice(v[0], [0], [1]), w.like(0, v[0])), ())
        bodies = [w.region(lambda b, _, t=t: [t], [], "yield") for t in (v[0], v[1])]
        w.regions("if", [test], bodies, [out])
        return [out]

    return told([
        row("0 / 0 of integers", lambda w, v: [_exactly(w, "floor_divide", *v, *v)], [zeros]),
        row("elements from 1000 on of 16", outside, [x, at]),
        row("the sum of nothing", of_nothing, [x], np.zeros(1)),
        row("branches that hand on", handed_on, [x, -x], np.where(x[0] > 0, x, -x)),
    ])  # fmt: skip


def updates() -> Found:
    """Tests slice_update, which crashed the engine's compiler (coreai-torch/issues/6), with constant and computed
    bounds."""
    x, new, at = normal(8, 64), normal(2, 64), np.array([3], INT)
    want = wide(x)
    want[3:5] = new

    def update(w: Writer, v: Values, begin: Tensor, end: Tensor) -> Values:
        return [w.op("slice_update", v[0], begin, end, w.index([1, 1]), v[1], out=((8, 64), HALF))]

    def computed(w: Writer, v: Values) -> Values:
        begin = w.concat([v[2], w.index([0])], 0)
        return update(w, v, begin, w.add(begin, w.index([2, 64])))

    rows = [
        row("constant bounds", lambda w, v: update(w, v, w.index([3, 0]), w.index([5, 64])), [x, new], want),
        row("computed bounds", computed, [x, new, at], want),
    ]
    return told(rows)


def ports() -> Found:
    """Ports of each dtype, cast inside, and last axes on both sides of 64 bytes."""
    rows = []
    for dtype in map(np.dtype, (np.int8, np.uint8, np.int16, np.uint16, np.float32)):
        x = np.arange(64, dtype=dtype).reshape(1, 64)
        rows.append(row(dtype.name, lambda w, v: [w.op("cast", v[0], out=((1, 64), HALF))], [x], wide(x)))
    for n in (1, 7, 31, 32, 33, 64):
        x = normal(4, 16, n)
        rows.append(row(f"last axis of {n}", lambda w, v: [w.add(*v, *v)], [x], 2 * wide(x)))
    return told(rows, 2)


def windows() -> Found:
    """Strides, dilations and kernels of convolutions, and strides of pooling."""
    x, rows = normal(1, 8, 48, 48), []
    for name, k, stride, dilation in (
        *((f"stride {s}", 3, s, 1) for s in (2, 3, 5, 6, 7, 9)), *((f"dilation {d}", 3, 1, d) for d in (2, 4, 8)),
        *((f"kernel {k}", k, 1, 1) for k in (5, 9, 15, 16)),
    ):  # fmt: skip
        w = normal(8, 8, k, k) / HALF.type(8)
        fill: Fill = lambda t, v, w=w, s=stride, d=dilation: [_conv(t, v[0], t.constant(w), s, d)]  # noqa: E731
        rows.append(row(name, fill, [x], _convolved(wide(x), wide(w), stride, dilation)))
    for s in (2, 3, 5):
        views = np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))[:, :, ::s, ::s]
        rows.append(row(f"pooling stride {s}", lambda t, v, s=s: [_pooled(t, v[0], s)], [x], wide(views.max((-1, -2)))))
    return told(rows)


def _convolved(x: np.ndarray, w: np.ndarray, stride: int, dilation: int) -> np.ndarray:
    reach = dilation * (w.shape[-1] - 1) + 1
    patches = np.lib.stride_tricks.sliding_window_view(x, (reach, reach), (2, 3))
    return np.einsum("ncijkl,ockl->noij", patches[:, :, ::stride, ::stride, ::dilation, ::dilation], w)


def others() -> Found:
    """Softmax along channels and along the last axis; gathers, argmax, sorting, integers of 16 bits, a loop."""
    x, table, at = normal(1, 8, 1, 64), normal(8, 64), np.array([[3], [1]], INT)
    shorts, e = np.arange(-32, 32, dtype=np.int16).reshape(1, 64), np.exp(wide(x))

    def greatest(w: Writer, v: Values) -> Values:
        return [w.op("cast", w.op("argmax", v[0], w.index(1), out=((8, 1), np.uint32)), out=((8, 1), HALF))]

    def ordered(w: Writer, v: Values) -> Values:
        return [w.op("sort", v[0], w.index(1), w.constant(False), w.constant(True), out=((8, 64), HALF))]

    def negated(w: Writer, v: Values) -> Values:
        out = Tensor(w.text.new(), (8, 64), HALF)
        test = w.reshape(w.greater(w.slice(v[0], [0, 0], [1, 1]), w.like(0, v[0])), ())
        bodies = [w.region(lambda b, _, f=f: [b.mul(v[0], b.like(f, v[0]))], [], "yield") for f in (-1, 2)]
        w.regions("if", [test], bodies, [out])
        return [out]

    deep = np.reshape(table, (8, 1, 1, 64))
    rows = [
        row("softmax along channels", lambda w, v: [_softmax(w, v[0], 1)], [x], e / e.sum(1, keepdims=True)),
        row("along the last axis", lambda w, v: [_softmax(w, v[0], 3)], [x], e / e.sum(3, keepdims=True)),
        row("gather", lambda w, v: [w.op("gather_nd", *v, out=((2, 64), HALF))], [table, at], wide(table[[3, 1]])),
        row(
            "gather of rank 4",
            lambda w, v: [w.op("gather_nd", *v, out=((2, 1, 1, 64), HALF))],
            [deep, at],
            wide(deep[[3, 1]]),
        ),
        row("argmax", greatest, [table], table.argmax(1)[:, None]),
        row("sort", ordered, [table], wide(np.sort(table, 1))),
        row("int16 products", lambda w, v: [w.mul(*v, *v)], [shorts], wide(shorts) ** 2),
        row(
            "scan",
            lambda w, v: [
                w.op("scan", v[0], w.sizes(1), w.constant(False), out=((8, 64), HALF), attributes="scan_op = 0 : i32")
            ],
            [table],
            wide(table).cumsum(1),
        ),
        row("if", negated, [table], wide(table) * (-1 if table[0, 0] > 0 else 2)),
        row("while", lambda w, v: [_three_turns(w, v, lambda b, c: [b.add(*c, *c)])], [table], 8 * wide(table)),
    ]
    return told(rows)


def states() -> Found:
    """A sum that grows from run to run: kept by the runtime as a state, and as an input and output of the program."""
    x = normal(1, 64)
    first = (np.zeros((1, 64), HALF), x, np.ones((1, 64), HALF))

    def step(total: Any, x: Any, keep: Any) -> Any:
        total = jnp.where(keep > 0, total, 0) + x
        return total, total * 2

    program = parse(to_text(lower(optimize(make_jaxpr(step)(*first).graph, "ane"), "ane")))
    names = [v.name for v in program.main.inputs]
    ports = [(v.name, v.type.shape, NUMPY_DTYPES[v.type.dtype]) for v in program.main.inputs]
    rows = []
    for what, kept in (("as a state", {names[0]: "new"}), ("as input and output", {})):
        text = Text()
        source = module([graph(text, "main", program, ["new", "y"], kept)])
        outputs = [(n, (1, 64), HALF) for n in (["y"] if kept else ["new", "y"])]
        rows.append(_growing(what, source, text, ports[len(kept) :], outputs, first[len(kept) :]))
    return told(rows, 2)


def _growing(what: str, source: str, text: Text, ports: Any, outputs: Any, given: Sequence[np.ndarray]) -> Row:
    try:
        program, inputs = CoreAIProgram(source, text.large, ports, outputs), list(given)
        inputs[-1] = np.zeros_like(inputs[-1])  # the first run then replaces the old contents
        for _ in range(4):
            *new, y = execute(program, inputs)
            inputs = [*new, *given[len(new) :]]
        us = least(lambda: execute(program, inputs))
    except DeviceError as err:
        return Row(what, trouble=str(err))
    return Row(what, program.regions if has_engine() else None, us, error_of(y, 8 * wide(given[-2])))


def weights() -> Found:
    """The cost of weights that cross: a step that has its weights as constants, as inputs, and as inputs and
    outputs."""
    x, w = normal(8, 512), normal(512, 512) / HALF.type(16)
    want = wide(x) @ wide(w)

    def crossing(t: Writer, v: Values) -> Values:
        return [t.add(v[1], t.mul(v[1], t.like(2.0**-10, v[1])))]

    rows = [
        row("512 x 512 weights as constants", lambda t, v: [t.matmul(v[0], t.constant(w))], [x], want),
        row("as inputs", lambda t, v: [t.matmul(*v)], [x, w], want),
        row("in and out", crossing, [x, w], wide(w) * (1 + 2.0**-10)),
    ]
    return told(rows, 64)


def composites() -> Found:
    """Functions that Apple's converters name, under the name and without it: placed, as fast, with the same numbers?"""
    x, rows = normal(1, 16, 64), []
    f, q = wide(x), normal(1, 4, 16, 32)

    def rms(w: Writer, v: Values) -> Values:
        mean = w.reduce("reduce_mean", w.mul(v[0], v[0]), [2], True)
        return [w.mul(v[0], w.unary("rsqrt", w.add(mean, w.like(1e-3, mean))))]

    def layer(w: Writer, v: Values) -> Values:
        return rms(w, [w.sub(v[0], w.reduce("reduce_mean", v[0], [2], True))])

    def attention(w: Writer, v: Values) -> Values:
        scores = w.mul(w.matmul(v[0], w.transpose(v[0], [0, 1, 3, 2])), w.like(32**-0.5, v[0]))
        return [w.matmul(_softmax(w, scores, 3), v[0])]

    centred, scores = f - f.mean(2, keepdims=True), np.exp(wide(q) @ wide(q).swapaxes(2, 3) * 32**-0.5)
    scaled = lambda a: a / np.sqrt((a * a).mean(2, keepdims=True) + 1e-3)  # noqa: E731
    for kind, fill, given, want in (
        ("rms_norm", rms, x, scaled(f)), ("layer_norm", layer, x, scaled(centred)),
        ("scaled_dot_product_attention", attention, q, scores / scores.sum(3, keepdims=True) @ wide(q)),
    ):  # fmt: skip
        named: Fill = lambda w, v, k=kind, fill=fill: composite(w, k, "eps = 1.0e-3 : f32", fill, v)  # noqa: E731
        rows += [row(kind, fill, [given], want), row("as a composite", named, [given], want)]
    return told(rows, 64)


@dataclass(frozen=True)
class Topic:
    """A question; ``placement``: it makes no sense without the Neural Engine. ``decides`` says what hangs on the
    answer."""

    name: str
    ask: Callable[[], Found]
    decides: str
    placement: bool = False


TOPICS = (
    Topic("products", products, "the form of products, with weights as inputs or as constants"),
    Topic("dispatches", dispatches, "how long a segment must be to be worth a call; which route is taken"),
    Topic("masks", masks, "mil/limits.MASK"),
    Topic("accumulators", sums, "the hazards of saturation and of narrow sums"),
    Topic("weights of few bits", compressed, "which schemes of weights= docs/export.md has for the engine"),
    Topic("weights as ports", weights, "whether a step's weights are inputs and outputs or states"),
    Topic("whole steps", steps, "whether a step is one program"),
    Topic("activations", activations, "sigmoid forms of tanh, silu and gelu on this route"),
    Topic("arithmetic that is rewritten", rewritten, "whether the remedies 1 to 3 and 18 are needed on macOS"),
    Topic("what ends the process", fatal, "whether the remedies 5 to 7 and 17 are needed on macOS"),
    Topic("slice_update", updates, "whether bounds may be computed"),
    Topic("ports", ports, "the dtypes and last axes of ports"),
    Topic("arrays without copies", surfaces, "whether ports can lie in IOSurfaces", placement=True),
    Topic("windows", windows, "hazards.STRIDES, and notes on dilations and kernels"),
    Topic("other operations", others, "what limits.REFUSED has for this route"),
    Topic("states", states, "whether the runtime keeps states"),
    Topic("arrays that are handed on", handed, "whether outputs are copied"),
    Topic("composites", composites, "whether functions keep Apple's names"),
    Topic("the CPU's bits", cpu_bits, "whether Linux speaks for the CPU of a Mac"),
    Topic("compiles", life, "whether programs are kept in our cache"),
    Topic("memory over calls", many_calls, "whether the process of Core AI is renewed"),
    Topic("a forked process", forked, "whether forks are safe"),
)


class Runtime:
    """Finds out once whether Core AI is there."""

    @cached_property
    def missing(self) -> str:
        """Why it is not, or ""."""
        try:
            check_package()
            has_engine()
        except (MissingDependencyError, DeviceError) as err:
            return str(err)
        return ""

    def check(self) -> Check:
        """Describes the runtime."""
        if self.missing:
            return Check(GROUP, RUNTIME, SKIPPED, self.missing)
        there = has_engine()
        said = "the system's, with the Neural Engine" if there else f"the package's, for the CPU. Placement: {NOT_HERE}"
        return of(GROUP, RUNTIME, True, said, engine=there)

    def answer(self, topic: Topic) -> Check:
        """A topic's check."""
        if self.missing:
            return Check(GROUP, topic.name, SKIPPED, "there is no Core AI here: its own check says why")
        if topic.placement and not has_engine():
            return Check(GROUP, topic.name, SKIPPED, NOT_HERE)
        try:
            found = topic.ask()
        except (DeviceError, OSError) as err:
            return of(GROUP, topic.name, False, str(err))
        return of(GROUP, topic.name, found.fine, found.said, answer=found.value, decides=topic.decides)
