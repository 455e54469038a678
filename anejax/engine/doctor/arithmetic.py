"""Probes of the engine's arithmetic, and of limits on which sources disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anejax.engine.doctor.bench import EPSILON, difference, half, program, smallest, tolerance
from anejax.engine.doctor.layout import CONV
from anejax.engine.doctor.probes import Answer, Asked, Probe, Refusals
from anejax.mil import limits
from anejax.mil.program import Builder, Type, Value

CONTRACTIONS = (16384, 32767, 32768, 32769, 40000, 65536)
WINDOWS = (8, 9, 13, 29)
FEW_UNITS = 8


def _unary(asked: Asked, op: str, x: Any, **operands: Any) -> np.ndarray:
    """One operation on a row of numbers."""
    row = np.atleast_2d(np.asarray(x, np.float64))
    out = half(*row.shape)
    text = program(lambda b, v: b.op(op, {"x": v, **operands}, out=out), out)
    return asked.engine.run(text, row)[0].astype(np.float64)[0]


def _product(asked: Asked, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x @ y, both computed."""

    def body(b: Builder, p: Value, q: Value) -> Value:
        operands = {"x": p, "y": q, "transpose_x": False, "transpose_y": False}
        return b.op("matmul", operands, out=half(x.shape[0], y.shape[1]))

    return asked.engine.run(program(body, half(*x.shape), half(*y.shape)), x, y)[0].astype(np.float64)


def _convolution(asked: Asked, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The same by a convolution whose weight w is a constant."""
    weight = np.ascontiguousarray(w.T, np.float16)[:, :, None, None]

    def body(b: Builder, v: Value) -> Value:
        operands = {"x": v, "weight": b.const(weight), **CONV}
        return b.op("conv", operands, out=half(1, w.shape[1], 1, x.shape[0]))

    image = np.ascontiguousarray(x.T)[None, :, None, :]
    return asked.engine.run(program(body, half(*image.shape)), image)[0].astype(np.float64)[0, :, 0].T


def _right(got: Any, want: Any, units: float = FEW_UNITS) -> bool:
    return not difference(np.asarray(got), np.asarray(want), tolerance(np.asarray(want), units))[1]


# ---- sums and products


def saturation(asked: Asked) -> Answer:
    """Products of matrices whose results lie on both sides of 2^15."""
    sums = np.array([16384.0, 32752, limits.SATURATION, 40000, 65504])
    x, w = np.ones((2, 64)), np.tile(sums / 64, (64, 1))
    found, fine = {}, True
    for name, run in (("matmul", _product), ("conv", _convolution)):
        got = run(asked, x, w)[0]
        over = np.isinf(got)
        fine &= _right(got[~over], sums[~over]) and not over[sums < limits.SATURATION].any()
        found[name] = float(sums[over].min()) if over.any() else None
    said = ", ".join(f"{k}: {f'infinity from {v:g}' if v else 'finite up to 65504'}" for k, v in found.items())
    return Answer(bool(fine), said if fine else f"wrong or infinite below {limits.SATURATION:g}; {said}", found)


def partial_sums(asked: Asked) -> Answer:
    """A sum that passes 2^15 on its way to 8192."""
    w = np.concatenate([np.full((32, 1), 1024.0), np.full((32, 1), -768.0)])
    got = _product(asked, np.ones((2, 64)), w)[0, 0]
    fine = got == 8192 or np.isinf(got)
    return Answer(bool(fine), f"1024 * 32 - 768 * 32 is {got:g}, of 8192", str(got))


def narrow_sums(asked: Asked) -> Answer:
    """Sums of 2048 and of 4096 ones, by reduce_sum and by a product with ones."""

    def total(n: int) -> float:
        text = program(lambda b, x: b.op("reduce_sum", {"x": x, "axes": [1], "keep_dims": True}, out=half(2, 1)),
                       half(2, n))  # fmt: skip
        return float(asked.engine.run(text, np.ones((2, n)))[0][0, 0])

    n = limits.EXACT_SUM
    exact, longer = total(n), total(2 * n)
    product = float(_product(asked, np.ones((2, 2 * n)), np.ones((2 * n, 1)))[0, 0])
    said = f"{n} ones sum up to {exact:g}, {2 * n} to {longer:g} by reduce_sum and to {product:g} by a product"
    return Answer(exact == n and product == 2 * n, said, {"reduce_sum": longer, "matmul": product})


def contraction(asked: Asked) -> Answer:
    """Finds the longest contracted axis of a product."""
    refusals, longest, wrong = Refusals(), 0, ""
    for k in CONTRACTIONS:
        x, y = np.full((2, k), 2.0**-8), np.ones((k, 1))
        got = refusals.tried(str(k), lambda x=x, y=y: _product(asked, x, y))
        if got is None:
            break
        longest = k
        if not _right(got, x @ y):
            wrong = wrong or f"; {k} terms of 2^-8 give {got[0, 0]:g} instead of {k / 256:g}"
    fine = not wrong and longest >= CONTRACTIONS[0]
    return Answer(fine, f"{longest} terms are taken{wrong}{refusals}", longest)


def small_products(asked: Asked) -> Answer:
    """Finds the size below which products of equal factors 2^-k vanish, by matmul and by mul."""
    powers = np.arange(4, 13)
    factors = 2.0**-powers
    by_matmul = np.array([_product(asked, np.full((2, 1), f), np.full((1, 2), f))[0, 0] for f in factors[::2]])
    out = half(1, len(factors))
    text = program(lambda b, x: b.op("mul", {"x": x, "y": x}, out=out), out)
    by_mul = asked.engine.run(text, factors[None])[0].astype(np.float64)[0]
    fine, least = True, {}
    for name, got, want in (("matmul", by_matmul, factors[::2] ** 2), ("mul", by_mul, factors**2)):
        fine &= all(g == 0 or _right(g, w) for g, w in zip(got, want))
        kept = want[got != 0]
        least[name] = float(np.log2(kept.min())) if kept.size else None
    said = ", ".join(f"{k} keeps 2^{v:g}" if v is not None else f"{k} keeps none" for k, v in least.items())
    return Answer(bool(fine), f"{said}, of 2^-24", least)


# ---- special values and functions


def special_values(asked: Asked) -> Answer:
    """Tests the results of operations on NaN and infinity."""
    row = half(1, 4)
    text = program(lambda b, x, y: [b.op(op, {"x": x, "y": y}, out=row) for op in ("add", "mul")], row, row)
    add, mul = asked.engine.run(text, [[np.nan, np.inf, np.inf, 1]], [[1, -np.inf, 1, 1]])
    zero_by_infinity = asked.engine.run(text, [[0, 0, 0, 0]], [[np.inf, -np.inf, np.nan, 1]])[1]
    log = _unary(asked, "log", [0.0, 1.0], epsilon=0.0)
    found = {"nan + 1": add[0, 0], "inf - inf": add[0, 1], "inf + 1": add[0, 2], "inf * -inf": mul[0, 1],
             "0 * inf": zero_by_infinity[0, 0], "0 * nan": zero_by_infinity[0, 2], "log(0)": log[0]}  # fmt: skip
    told = {k: f"{float(v):g}" for k, v in found.items()}
    return Answer(bool(add[0, 3] == 2 and mul[0, 3] == 1), ", ".join(f"{k} = {v}" for k, v in told.items()), told)


def rounding(asked: Asked) -> Answer:
    """round on both sides of 1024."""
    x = np.array([2.4, -2.6, 511.4, 1000.6, 1023.6, 1024, 1025, 2047, 4096, -1500], np.float16).astype(np.float64)
    got = _unary(asked, "round", x)
    off = [v for g, v in zip(got, x) if g != np.rint(v)]
    fine = all(abs(v) >= limits.ROUND_WRONG for v in off)
    return Answer(fine, f"wrong at {', '.join(f'{v:g}' for v in off)}" if off else "right up to 4096", off)


def scaled_floor(asked: Asked) -> Answer:
    """A constant factor after floor."""
    x, row = np.array([[0.5, 1.5, 2.5, -1.5]]), half(1, 4)

    def body(b: Builder, v: Value) -> Value:
        return b.op("mul", {"x": b.op("floor", {"x": v}, out=row), "y": 3.0}, out=row)

    got = asked.engine.run(program(body, row), x)[0].astype(np.float64)
    return _as_hazard(asked, "scaled rounding", bool((got == 3 * np.floor(x)).all()), "floor(x) * 3")


def _as_hazard(asked: Asked, hazard: str, right: bool, what: str, refused: str = "") -> Answer:
    """The answer to whether ``what`` works: no must where hazards.py says that it does not."""
    known = asked.known(hazard)
    state = "is right" if right else f"is refused: {refused}" if refused else "is wrong"
    note = "" if right == (not known) else "; taken to fail here" if known else "; taken to work here"
    return Answer(right or known, f"{what} {state}{note}", right)


def exponentials(asked: Asked) -> Answer:
    """exp and softplus near and above 11.09."""
    x = np.array([10.0, 11.0, 11.25, 12, 20], np.float64)
    exp, soft = _unary(asked, "exp", x), _unary(asked, "softplus", x)
    below = x < limits.EXP_OVERFLOW
    fine = _right(exp[below], np.exp(x[below]), 16) and _right(soft[below], np.log1p(np.exp(x[below])), 16)
    zeros = [f"{v:g}" for v, s in zip(x, soft) if s == 0]
    said = f"exp(11.25) = {exp[2]:g}; softplus is {'0 at ' + ', '.join(zeros) if zeros else 'right up to 20'}"
    return Answer(fine, said, {"exp": f"{exp[2]:g}", "softplus zeros": zeros})


def gelu_modes(asked: Asked) -> Answer:
    """The three forms of gelu against the exact one."""
    x = np.linspace(-4, 4, 65)
    exact = 0.5 * x * (1 + np.array([np.tanh(v) for v in np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)]))
    refusals, errors = Refusals(), {}
    for mode in ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"):
        got = refusals.tried(mode, lambda mode=mode: _unary(asked, "gelu", x, mode=mode))
        if got is not None:
            errors[mode] = float(np.abs(got - exact).max())
    fine = all(e <= 4 * limits.TABLE_ERRORS["gelu"] for e in errors.values())
    said = ", ".join(f"{mode} is off by {e:.1e}" for mode, e in errors.items()) or "no form is taken"
    return Answer(fine, f"{said}{refusals}", errors)


def layer_norms(asked: Asked) -> Answer:
    """layer_norm over rows of 64, without and with a scale and a shift. Legalization writes it in parts."""
    x = np.random.default_rng(0).normal(size=(4, 64))
    plain = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    refusals, errors = Refusals(), {}
    for what, gamma, beta in (("plain", 1.0, 0.0), ("scaled", 2.0, 0.5)):

        def body(b: Builder, v: Value, gamma: float = gamma, beta: float = beta) -> Value:
            constants = {k: np.full(64, c, np.float16) for k, c in (("gamma", gamma), ("beta", beta))}
            return b.op("layer_norm", {"x": v, "axes": [1], "epsilon": 1e-5, **constants}, out=half(4, 64))

        got = refusals.tried(what, lambda body=body: asked.engine.run(program(body, half(4, 64)), x)[0])
        if got is not None:
            errors[what] = float(np.abs(got - (plain * gamma + beta)).max())
    fine = all(e <= 64 * EPSILON for e in errors.values())
    said = ", ".join(f"{what} is off by {e:.1e}" for what, e in errors.items()) or "not taken"
    return Answer(fine, f"{said}{refusals}", errors)


# ---- movement


def last_axis_slices(asked: Asked) -> Answer:
    """A slice of the last axis that does not start at 0, of numbers past 4094."""
    x = np.full((1, 8, 64), 5000.0)
    got = asked.engine.run(program(lambda b, v: _slice(b, v, 3, 8), half(1, 8, 64)), x)[0]
    return _as_hazard(asked, "slice offset", bool((got == 5000).all()), "a slice of the last axis from 3 on")


def joined_slices(asked: Asked) -> Answer:
    """Two such slices, joined."""
    x = np.arange(8 * 64).reshape(1, 8, 64) % 128

    def body(b: Builder, v: Value) -> Value:
        parts = [_slice(b, v, begin, 8) for begin in (3, 17)]
        return b.op("concat", {"values": parts, "axis": 2, "interleave": False}, out=half(1, 8, 16))

    got = asked.engine.run(program(body, half(1, 8, 64)), x)[0]
    right = bool((got == np.concatenate([x[..., 3:11], x[..., 17:25]], -1)).all())
    return _as_hazard(asked, "joined slices", right, "a concat of two slices of the last axis")


def _slice(b: Builder, v: Value, begin: int, size: int) -> Value:
    out = (*v.type.shape[:-1], size)
    return b.op("slice_by_size", {"x": v, "begin": [0, 0, begin], "size": out}, out=half(*out))


def tiles(asked: Asked) -> Answer:
    """tile by 2, 3, 4 and 8, then a program that must still be right: one report says that tile spoils what follows."""
    x, right = np.arange(12.0).reshape(1, 12), True
    for factor in (2, 3, 4, 8):

        def body(b: Builder, v: Value, n: int = factor) -> Value:
            return b.op("tile", {"x": v, "reps": [1, n]}, out=half(1, 12 * n))

        right &= bool((asked.engine.run(program(body, half(1, 12)), x)[0] == np.tile(x, (1, factor))).all())
    after = asked.engine.run(smallest(0.75), np.ones((1, 64)))[0]
    if not (after == 2.75).all():
        return Answer(False, "the program after tile is wrong, and so may be all that follow", "poisoned")
    return _as_hazard(asked, "tile", right, "tile, and what follows it,")


def root_of_reduction(asked: Asked) -> Answer:
    """rsqrt right after a reduction."""
    return _pair(asked, "root of a reduction", "rsqrt", {"epsilon": 0.0}, _mean_square, _inverse_root)


def power_of_reduction(asked: Asked) -> Answer:
    """Tests pow right after a reduction, which legalization writes in place of rsqrt."""
    return _pair(asked, "", "pow", {"y": -0.5}, _mean_square, _inverse_root)


def _inverse_root(x: np.ndarray) -> np.ndarray:
    return (x**2).mean(1) ** -0.5


def curved_square(asked: Asked) -> Answer:
    """A function by table right after square, in rows of 100 (more than 64 past a multiple of 128)."""
    square = lambda b, v: b.op("square", {"x": v}, out=v.type)  # noqa: E731
    return _pair(asked, "curved square", "tanh", {}, square, lambda x: np.tanh(x**2))


def _mean_square(b: Builder, v: Value) -> Value:
    squares = b.op("mul", {"x": v, "y": v}, out=v.type)
    return b.op("reduce_mean", {"x": squares, "axes": [1], "keep_dims": True}, out=half(v.type.shape[0], 1))


def _pair(asked: Asked, hazard: str, op: str, operands: dict[str, Any], first: Any, want: Any) -> Answer:
    """``op`` right after what ``first`` builds."""
    x = np.random.default_rng(1).uniform(-1, 1, (4, 100)).astype(np.float16).astype(np.float64)

    def body(b: Builder, v: Value) -> Value:
        made = first(b, v)
        return b.op(op, {"x": made, **operands}, out=made.type)

    refusals = Refusals()
    got = refusals.tried(op, lambda: asked.engine.run(program(body, half(*x.shape)), x)[0])
    error = limits.TABLE_ERRORS.get(op, 0.0)
    wanted = want(x)
    right = got is not None and not difference(got.reshape(wanted.shape), wanted, tolerance(wanted, 16, error))[1]
    return _as_hazard(asked, hazard, right, f"{op} after {'square' if op == 'tanh' else 'a reduction'}",
                      refusals.reasons.get(op, ""))  # fmt: skip


def windows(asked: Asked) -> Answer:
    """Finds the largest pooling window."""
    refusals, largest, wrong = Refusals(), 0, ""
    x = np.random.default_rng(0).permutation(32 * 32).reshape(1, 1, 32, 32).astype(np.float64)
    for size in (w for w in WINDOWS if w <= limits.LIMITS[asked.family].pool_window):
        got = refusals.tried(str(size), lambda n=size: asked.engine.run(_pooling(n, x.shape), x)[0])
        if got is None:
            break
        want = np.lib.stride_tricks.sliding_window_view(x[0, 0], (size, size)).max((-2, -1))
        wrong = wrong or ("" if (got[0, 0] == want).all() else f"; windows of {size} are wrong")
        largest = size
    return Answer(not wrong and largest >= WINDOWS[0], f"windows of {largest} are taken{wrong}{refusals}", largest)


def _pooling(size: int, shape: Sequence[int]) -> str:
    out = half(1, 1, shape[2] - size + 1, shape[3] - size + 1)
    operands = {"kernel_sizes": [size, size], "strides": [1, 1], "pad_type": "valid", "pad": [0, 0, 0, 0],
                "ceil_mode": False}  # fmt: skip
    return program(lambda b, v: b.op("max_pool", {"x": v, **operands}, out=out), Type("fp16", tuple(shape)))


ARITHMETIC = [
    Probe("saturation", saturation, ("limits.SATURATION",)),
    Probe("partial sums", partial_sums, ("limits.SATURATION",)),
    Probe("narrow sums", narrow_sums, ("limits.EXACT_SUM",)),
    Probe("contraction", contraction, ("hazards.CONTRACTION", "limits.LIMITS"), may_refuse=True),
    Probe("small products", small_products),
    Probe("special values", special_values),
    Probe("round", rounding, ("limits.ROUND_WRONG",)),
    Probe("factor after floor", scaled_floor, ("hazards.HAZARDS",)),
    Probe("exponentials", exponentials, ("limits.EXP_OVERFLOW",)),
    Probe("gelu", gelu_modes, ("limits.TABLE_ERRORS",), may_refuse=True),
    Probe("layer_norm", layer_norms, may_refuse=True),
    Probe("slices of the last axis", last_axis_slices, ("hazards.HAZARDS",)),
    Probe("joined slices", joined_slices, ("hazards.HAZARDS",)),
    Probe("tile", tiles, ("limits.TILE_PRIMES", "hazards.HAZARDS")),
    Probe("rsqrt after a reduction", root_of_reduction, ("hazards.HAZARDS",), may_refuse=True),
    Probe("pow after a reduction", power_of_reduction),
    Probe("table after square", curved_square, ("hazards.HAZARDS",), may_refuse=True),
    Probe("pooling windows", windows, ("hazards.WINDOW", "limits.LIMITS"), may_refuse=True),
]
