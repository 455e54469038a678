"""Limits of the Neural Engine, as data: sizes, kernels, ports, and the reasons why it refuses operations.

Marks of sources: [sweep] every MIL operation run on an M5 through the engine's C route; [catalog] tables of the
engine's compiler, measured on M1, M2 and M5 and interpolated in between; [one] the report of a single project.
docs/sources.md has the links. None of this is promised by Apple. opset.py lists the operations; verify.py applies these
figures.
"""

from __future__ import annotations

from dataclasses import dataclass

FAMILIES = ("A13", "A14", "A15", "A16")  # the families of engines, in order
FAMILY_OF_CHIP = {"M1": "A13", "M2": "A14", "M3": "A15", "M4": "A16", "M5": "A16",
                  "M6": "A16"}  # [catalog]; M6 is taken to be as M5  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """One engine family's figures [catalog]."""

    max_extent: int  # of the last two axes, and of transposed axes
    max_contraction: int  # K of a matrix multiplication
    kernel_width: int  # of a convolution in fp16, unit stride
    kernel_width_strided: int
    kernel_height: int
    pool_window: int
    port_dtypes: tuple[str, ...]
    texture_engine: bool  # reflect and replicate padding


PORTS = ("fp16", "int8", "uint8", "int16", "uint16")
LIMITS = {
    "A13": Limits(16384, 16384, 13, 7, 29, 29, ("fp16", "uint8"), False),
    "A14": Limits(16384, 16384, 15, 8, 32, 31, PORTS, True),
    "A15": Limits(16384, 16384, 15, 8, 32, 31, PORTS, True),
    "A16": Limits(65536, 65536, 15, 8, 32, 31, PORTS, True),
}

MAX_RANK = 5  # [sweep]; operations with less say so in opset.py
MAX_CHANNELS = 65536  # of any axis [catalog]
KERNEL_DEPTH = 16  # of a 3-D convolution [catalog]
TILE_PRIMES = (2, 3)  # tile factors are products of 2, 3, 4 and 8 [catalog]
MAX_WEIGHT_BYTES = 1_600_000_000  # 1.5 GB compiled, 3.4 GB failed [one]
MAX_LOADED_PROGRAMS = 128  # per process [one]; the 129th asks to be compiled again
MAX_PROGRAM_OPS = 1000  # about 31 transformer layers compile, and time grows with operations [one]
MAX_PROGRAM_INPUTS = 98  # the largest number that was seen to work [one]
MAX_FINITE = 65504.0  # of fp16
MASK = -40000.0  # the least value of masks that are added to scores or replace them [apple]
SATURATION = 32768.0  # matmul and conv outputs become inf from here, on every chip [sweep]
EXACT_SUM = 2048  # reduce_sum accumulates in fp16: larger integers are not exact [sweep]
EXP_OVERFLOW = 11.09  # exp overflows and softplus gives 0 from here [sweep]
ROUND_WRONG = 1024  # round is wrong from here [sweep]

COREML_MAX_RANK = 5
STATE = ("read_state", "write_state", "coreml_update_state")  # operations of MIL on state
COREML_PORTS = ("fp32", "fp16", "int32")

# Why the engine has no such operation, and what to write instead; "" when there is nothing.
REFUSED: dict[str, tuple[str, str]] = {
    "acos": ("not implemented on any chip [sweep]", "pi/2 - asin"),
    "asin": ("not implemented on any chip [sweep]", "a polynomial times sqrt(1 - |x|)"),
    "atanh": ("not implemented on any chip [sweep]", "0.5 * (log(1 + x) - log(1 - x))"),
    "band_part": ("not implemented [sweep]", "multiply by a constant mask"),
    "cosh": ("not implemented on any chip [sweep]", "0.5 * (exp(x) + exp(-x))"),
    "cumsum": ("not implemented on this route [sweep]", "matmul with a constant triangle"),
    "gather": ("not implemented on this route [sweep]", "matmul with a one-hot matrix, slices"),
    "gather_nd": ("not implemented on this route [sweep]", "matmul with a one-hot matrix, slices"),
    "identity": ("does not compile [sweep]", "mul by 1"),
    "logical_and": ("not implemented on any chip [sweep]", "mul of 0 and 1"),
    "logical_or": ("not implemented on any chip [sweep]", "maximum of 0 and 1"),
    "logical_xor": ("not implemented on any chip [sweep]", "not_equal of 0 and 1"),
    "mod": ("not implemented on any chip [sweep]", "x - floor(x / y) * y"),
    "reduce_argmax": ("not implemented on this route [sweep]", "reduce_min of select(x == max, iota, big), to 2048"),
    "reduce_argmin": ("not implemented on this route [sweep]", "reduce_argmax of -x"),
    "reduce_prod": ("not implemented on any chip [sweep]", "pairwise products of halves"),
    "scatter_nd": ("not implemented on any chip [sweep]", "matmul with a one-hot matrix"),
    "sinh": ("not implemented on any chip [sweep]", "0.5 * (exp(x) - exp(-x))"),
    "tan": ("not implemented on any chip [sweep]", "sin / cos (A15 on), after range reduction"),
    "scaled_dot_product_attention": ("its mask is ignored, or long rows fail [one]", "matmul, softmax, matmul"),
    **dict.fromkeys(
        (
            *("upsample_nearest_neighbor", "upsample_bilinear", "resize_nearest_neighbor", "resize_bilinear"),
            *("resize", "affine"),
        ),
        ("not tried by this project, though engines have it [one]", "matmul with a constant matrix"),
    ),
    **dict.fromkeys(
        ("depth_to_space", "space_to_depth", "pixel_shuffle", "pixel_unshuffle", "space_to_batch", "batch_to_space"),
        ("not tried by this project, though engines have some [one]", "reshape, transpose, reshape"),
    ),
    **dict.fromkeys(("quantize", "dequantize"), ("not tried by this project", "arithmetic in fp16 on the CPU device")),
    "crop": ("not tried by this project", "slice_by_size"),
    "flatten2d": ("not tried by this project", "reshape"),
    "einsum": ("not tried by this project", "transpose, matmul, transpose"),
    "l2_norm": ("not checked against numbers on any chip [sweep]", "x * rsqrt(reduce_sum(x * x))"),
    "lstm": ("not implemented on any chip [sweep]", "matmul, sigmoid and tanh for each step"),
    "local_response_norm": ("not tried by this project", "a convolution of squares over channels"),
}

# Errors of functions by table, relative to the largest result, away from the seams of the tables [sweep].
TABLE_ERRORS: dict[str, float] = {
    "atan": 1.9e-2,
    "cos": 4e-2,
    "erf": 7e-4,
    "gelu": 5.9e-3,
    "rsqrt": 1e-3,
    "sigmoid": 3.4e-3,
    "silu": 1e-2,
    "sin": 4e-2,
    "sqrt": 4e-4,
    "tanh": 1.7e-3,
}


def _error(op: str) -> str:
    """5.9e-3, not 5.9e-03."""
    digits, exponent = f"{TABLE_ERRORS[op]:.1e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


# Numerics that a legalizer should know: operation -> the error of its result [sweep].
NUMERICS: dict[str, str] = {
    "atan": f"error up to {_error('atan')}, 0.04 to 0.12 near the seams of its table",
    "ceil": "a following mul by a scalar constant loses the scale",
    "cos": "wants a reduced argument; error 0.04 to 0.12 outside its table",
    "erf": f"error about {_error('erf')}",
    "exp": f"overflows above {EXP_OVERFLOW}",
    "floor": "a following mul by a scalar constant loses the scale",
    "gelu": f"a table of 33 knots: error up to {_error('gelu')}, and gelu(0) is -5.4e-4",
    "log": "log(0) is about -45440",
    "matmul": f"inf from |y| >= {SATURATION:.0f}",
    "conv": f"inf from |y| >= {SATURATION:.0f}",
    "reduce_sum": f"narrow accumulation: integers are exact to {EXACT_SUM}",
    "reduce_mean": f"narrow accumulation: integers are exact to {EXACT_SUM}",
    "round": f"wrong from |x| >= {ROUND_WRONG}; a following mul by a scalar constant loses the scale",
    "rsqrt": f"relative error about {_error('rsqrt')}",
    "sigmoid": f"a table of 33 knots: error up to {_error('sigmoid')}",
    "silu": f"relative error up to {_error('silu')}",
    "sin": "wants a reduced argument; error 0.04 to 0.12 outside its table",
    "softplus": f"0 from {EXP_OVERFLOW}",
    "sqrt": f"relative error about {_error('sqrt')}",
    "tanh": f"a table of 33 knots: error up to {_error('tanh')}",
}
