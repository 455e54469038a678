"""The one table of operations: name, operands, dtypes and targets.

An operation is MIL's own (MIL's name, operands and meaning) or `aj_<lax name>` (the lax
primitive's meaning, target `cpu`; a few for Core ML, too). The Python verifier reads this table, and the native
verifier's table is generated from it, so this module imports the standard library only.

Dtypes are given per target by type variables: operands and results that name the same variable have
the same dtype. MIL itself lets some operands differ (a bias, an epsilon); this dialect does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

TARGETS = ("cpu", "coreml", "ane")
KINDS = ("tensor", "const", "variadic", "function", "functions")
LISTS = ("variadic", "functions")  # written (a, b, ...)
BY_NAME = ("function", "functions")  # constant strings that name functions of the program

FLOAT = ("fp16", "fp32")
NUMBER = (*FLOAT, "int32")
DATA = (*NUMBER, "bool")
NARROW = ("int8", "int16", "uint8", "uint16")
MOVABLE = (*DATA, *NARROW)

AJ_FLOAT = ("fp16", "bf16", "fp32", "fp64")
AJ_SIGNED = ("int8", "int16", "int32", "int64")
AJ_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
AJ_INT = (*AJ_SIGNED, *AJ_UNSIGNED)
AJ_NUMBER = (*AJ_FLOAT, *AJ_INT)
AJ_ANY = (*AJ_NUMBER, "bool")
AJ_BITS = (*AJ_INT, "bool")
INDEX = ("int32", "int64")

DTYPES = (*AJ_ANY, "string")

Default = bool | int | float | str | None


@dataclass(frozen=True)
class TypeVar:
    """A type variable and the dtypes that it ranges over on each target."""

    name: str
    cpu: tuple[str, ...]
    coreml: tuple[str, ...] = ()
    ane: tuple[str, ...] = ()

    def on(self, target: str) -> tuple[str, ...]:
        """The dtypes that `target` takes."""
        return {"cpu": self.cpu, "coreml": self.coreml, "ane": self.ane}[target]


@dataclass(frozen=True)
class Arg:
    """One operand. Its dtype is type variable `var`, or one of `dtypes` when `var` is empty."""

    name: str
    kind: str  # one of KINDS; a variadic is a list of tensors
    var: str = ""
    dtypes: tuple[str, ...] = ()
    rank: int = -1  # -1: any; lists have rank 1, single values rank 0
    optional: bool = False
    default: Default = None  # the meaning of an absent operand; None: see the operation's meaning in MIL
    empty: bool = False  # a list that may have no items


@dataclass(frozen=True)
class Engine:
    """The Neural Engine's requirements on an operation beyond MIL's. limits.py has facts and sources."""

    since: str = "A13"  # the first engine family that takes the operation
    max_rank: int = 5
    const: tuple[str, ...] = ()  # operands that must be constants there


@dataclass(frozen=True)
class OpSchema:
    """One operation. `results` names a type variable or a dtype for each result."""

    name: str
    args: tuple[Arg, ...]  # in alphabetical order
    types: tuple[TypeVar, ...]
    results: tuple[str, ...]
    variadic_results: bool = False  # any number of results, all as results[0]; "" there: as declared
    shape: str = ""  # the family of the shape rule, if the operation has no separate rule
    targets: tuple[str, ...] = TARGETS
    engine: Engine | None = None

    def arg(self, name: str) -> Arg | None:
        """The operand called `name`, or None."""
        return self._args_by_name.get(name)

    @cached_property
    def _args_by_name(self) -> dict[str, Arg]:
        return {a.name: a for a in self.args}

    def type_var(self, name: str) -> TypeVar | None:
        """The type variable called `name`, or None."""
        return next((t for t in self.types if t.name == name), None)


# The engine's compiler has been seen to want every operand but these.
MAY_BE_ABSENT = frozenset({"bias", "output_shape", "split_sizes"})


def engine_wants(schema: OpSchema, arg: Arg) -> bool:
    """Whether the engine wants the operand `arg` written out, though MIL has a default for it."""
    return schema.engine is not None and arg.optional and arg.name not in MAY_BE_ABSENT


# ---- helper constructors -------------------------------------------------------------------------


def _tensors(names: str, var: str = "T", optional: bool = False) -> tuple[Arg, ...]:
    return tuple(Arg(name, "tensor", var, optional=optional) for name in names.split())


def _variadic(name: str, var: str = "T") -> Arg:
    return Arg(name, "variadic", var)


def _mixed(names: str) -> tuple[Arg, ...]:
    """Lists of tensors of any dtypes, which may be empty."""
    return tuple(Arg(name, "variadic", "", AJ_ANY, empty=True) for name in names.split())


def _functions(names: str, kind: str = "function") -> tuple[Arg, ...]:
    return tuple(Arg(name, kind, "", ("string",), 0) for name in names.split())


def _const(name: str, *dtypes: str, rank: int = 0, default: Default = None, optional: bool = False) -> Arg:
    return Arg(name, "const", "", dtypes, rank, optional or default is not None, default)


def _flag(name: str, default: bool | None = False) -> Arg:
    return _const(name, "bool", default=default)


def _text(name: str, default: str | None = None) -> Arg:
    return _const(name, "string", default=default)


def _texts(names: str) -> tuple[Arg, ...]:
    return tuple(_text(name) for name in names.split())


def _int(name: str, default: int | None = None) -> Arg:
    return _const(name, "int32", default=default)


def _ints(name: str, optional: bool = False) -> Arg:
    return _const(name, "int32", rank=1, optional=optional)


def _value(name: str, default: float | None = None, rank: int = 0, optional: bool = False) -> Arg:
    """A constant of the operation's own dtype."""
    return Arg(name, "const", "T", (), rank, optional or default is not None, default)


X = _tensors("x")
XY = _tensors("x y")
ON_ENGINE = Engine()
OFF_ENGINE = None
ENGINE_DTYPES = ("fp16",)


def _mil(
    name: str,
    args: tuple[Arg, ...],
    domain: tuple[str, ...],
    result: str = "T",
    *,
    engine: Engine | None = ON_ENGINE,
    ane: tuple[str, ...] = ENGINE_DTYPES,
    shape: str = "",
    cpu: bool = True,
    extra: tuple[TypeVar, ...] = (),
    several: bool = False,
) -> OpSchema:
    on_engine = tuple(d for d in domain if d in ane) if engine else ()
    targets = tuple(t for t, yes in zip(TARGETS, (cpu, True, engine is not None), strict=True) if yes)
    types = (TypeVar("T", domain if cpu else (), domain, on_engine), *extra)
    ordered = tuple(sorted(args, key=lambda a: a.name))
    return OpSchema(name, ordered, types, (result,), several, shape or name, targets, engine)


def _unary(
    names: str,
    domain: tuple[str, ...],
    *args: Arg,
    engine: Engine | None = ON_ENGINE,
    ane: tuple[str, ...] = ENGINE_DTYPES,
    cpu: bool = True,
    shape: str = "same",
) -> Iterator[OpSchema]:
    for name in names.split():
        yield _mil(name, (*X, *args), domain, engine=engine, ane=ane, shape=shape, cpu=cpu)


def _binary(
    names: str, domain: tuple[str, ...], result: str = "T", *, engine: Engine | None = ON_ENGINE
) -> Iterator[OpSchema]:
    for name in names.split():
        yield _mil(name, XY, domain, result, engine=engine, shape="broadcast")


def _reduce(
    names: str, domain: tuple[str, ...], *, engine: Engine | None = ON_ENGINE, cpu: bool = True
) -> Iterator[OpSchema]:
    args = (*X, _ints("axes", optional=True), _flag("keep_dims"))
    for name in names.split():
        yield _mil(name, args, domain, engine=engine, shape="reduce", cpu=cpu)


def _aj(
    names: str,
    domain: tuple[str, ...],
    *args: Arg,
    result: str = "T",
    results: tuple[str, ...] = (),
    shape: str = "",
    extra: tuple[TypeVar, ...] = (),
    several: bool = False,
    coreml: tuple[str, ...] = (),
) -> Iterator[OpSchema]:
    """``coreml`` has dtypes where Core ML's MIL has the operation in another form, which export/milproto.py writes."""
    targets = ("cpu", "coreml") if coreml else ("cpu",)
    for name in names.split():
        ordered = tuple(sorted(args, key=lambda a: a.name))
        types = (TypeVar("T", domain, coreml), *extra)
        yield OpSchema(f"aj_{name}", ordered, types, results or (result,), several, shape or f"aj_{name}", targets)


def _aj_list(names: str) -> tuple[Arg, ...]:
    return tuple(_const(name, *INDEX, rank=1) for name in names.split())


def _aj_int(names: str) -> tuple[Arg, ...]:
    return tuple(_const(name, *INDEX) for name in names.split())


WINDOW = (_ints("strides", True), _ints("pad", True), _ints("dilations", True), _int("groups", 1))
POOL = (*X, _ints("kernel_sizes"), _ints("strides", True), _ints("pad", True), _text("pad_type"), _flag("ceil_mode"))
SLICE_MASKS = tuple(_const(n, "bool", rank=1, optional=True) for n in ("begin_mask", "end_mask", "squeeze_mask"))
AFFINE = (_value("gamma", rank=1, optional=True), _value("beta", rank=1, optional=True), _value("epsilon", 1e-5))
INDICES = TypeVar("I", ("int32",), ("int32", "int16", "int8", "uint16", "uint8"))


def _mil_ops() -> Iterator[OpSchema]:
    # elementwise
    yield from _binary("add sub mul real_div floor_div maximum minimum", NUMBER)
    yield from _binary("mod", NUMBER, engine=OFF_ENGINE)
    yield from _binary("pow", NUMBER, engine=Engine(const=("y",)))
    yield from _binary("equal not_equal less less_equal greater greater_equal", NUMBER, "bool")
    yield from _binary("logical_and logical_or logical_xor", ("bool",), "bool", engine=OFF_ENGINE)
    yield from _unary("logical_not", ("bool",), ane=("bool",))
    yield from _unary("abs sign square exp2", NUMBER)
    yield from _unary("ceil floor round exp sqrt tanh atan erf sigmoid relu silu softplus", FLOAT)
    yield from _unary("sin cos", FLOAT, engine=Engine(since="A15"))
    yield from _unary("tan asin acos atanh sinh cosh", FLOAT, engine=OFF_ENGINE)
    yield from _unary("log", FLOAT, _value("epsilon", 1e-45))
    yield from _unary("rsqrt", FLOAT, _value("epsilon", 1e-12))
    yield from _unary("inverse", FLOAT, _value("epsilon", 1e-4))
    yield from _unary("gelu", FLOAT, _text("mode", "EXACT"))
    yield from _unary("clip", FLOAT, _value("alpha"), _value("beta"))
    yield from _unary("softmax", FLOAT, _int("axis", -1), shape="scan")
    yield from _unary("identity", MOVABLE, engine=OFF_ENGINE)
    yield from _unary("band_part", DATA, _int("lower", -1), _int("upper", -1), engine=OFF_ENGINE)
    yield from _unary(
        "cumsum", NUMBER, _int("axis", 0), _flag("exclusive"), _flag("reverse"), shape="scan", engine=OFF_ENGINE
    )
    cast_to = TypeVar("R", MOVABLE, MOVABLE, ("fp16", "bool", "int8", "uint8"))
    yield _mil("cast", (*X, _text("dtype")), MOVABLE, "R", ane=cast_to.ane, shape="same", extra=(cast_to,))
    cond = Arg("cond", "tensor", "", ("bool",))
    yield _mil("select", (cond, *_tensors("a b")), DATA, shape="broadcast")
    # reductions
    yield from _reduce("reduce_sum reduce_mean reduce_max reduce_min reduce_sum_square reduce_log_sum_exp", NUMBER)
    yield from _reduce("reduce_prod", NUMBER, engine=OFF_ENGINE)
    index = TypeVar("I", ("int32",), ("int32", "uint16"))
    arg_args = (*X, _int("axis", -1), _flag("keep_dims"), _text("output_dtype", "int32"))
    for name in ("reduce_argmax", "reduce_argmin"):
        yield _mil(name, arg_args, NUMBER, "I", engine=OFF_ENGINE, shape="reduce_arg", extra=(index,))
    # movement
    yield _mil("reshape", (*X, _ints("shape")), MOVABLE)
    yield _mil("transpose", (*X, _ints("perm")), MOVABLE)
    yield _mil("expand_dims", (*X, _ints("axes")), MOVABLE)
    yield _mil("squeeze", (*X, _ints("axes", True)), MOVABLE)
    yield _mil("reverse", (*X, _ints("axes", True)), MOVABLE)
    yield _mil("tile", (*X, _ints("reps")), DATA)
    yield _mil("pad", (*X, _ints("pad"), _text("mode", "constant"), _value("constant_val", 0.0)), FLOAT)
    yield _mil("fill", (_ints("shape"), _value("value", 0.0)), DATA)
    yield _mil("concat", (_variadic("values"), _int("axis"), _flag("interleave")), DATA)
    yield _mil("stack", (_variadic("values"), _int("axis")), DATA)
    split_args = (*X, _int("axis"), _const("num_splits", "int32", optional=True), _ints("split_sizes", True))
    yield _mil("split", split_args, DATA, several=True)
    yield _mil("slice_by_size", (*X, _ints("begin"), _ints("size")), MOVABLE)
    slice_args = (*X, _ints("begin"), _ints("end"), _ints("stride", True), *SLICE_MASKS)
    yield _mil("slice_by_index", slice_args, MOVABLE)
    # gather and scatter
    where = _tensors("indices", "I")
    check, batch = _flag("validate_indices"), _int("batch_dims", 0)
    taken = (*NUMBER, *NARROW)
    yield _mil("gather", (*X, *where, _int("axis", 0), batch, check), taken, engine=OFF_ENGINE, extra=(INDICES,))
    yield _mil("gather_nd", (*X, *where, batch, check), taken, engine=OFF_ENGINE, extra=(INDICES,))
    int_where = (Arg("indices", "tensor", "", ("int32",)),)
    scatter_args = (*_tensors("data updates"), *int_where, _text("mode", "add"), check)
    yield _mil("scatter_nd", scatter_args, NUMBER, engine=OFF_ENGINE)
    # linear algebra, windows and normalisation
    transposes = (_flag("transpose_x"), _flag("transpose_y"))
    yield _mil("matmul", (*XY, *transposes), NUMBER, engine=Engine(max_rank=4))
    weights = (*_tensors("weight"), *_tensors("bias", optional=True))
    conv_args = (*X, *weights, *WINDOW, _text("pad_type", "valid"))
    yield _mil("conv", conv_args, FLOAT, engine=Engine(max_rank=4))
    yield _mil("conv_transpose", (*conv_args, _ints("output_shape", True)), FLOAT, engine=Engine(max_rank=4))
    yield _mil("max_pool", POOL, FLOAT, shape="pool")
    yield _mil("avg_pool", (*POOL, _flag("exclude_padding_from_average")), FLOAT, shape="pool")
    moments = (_value("mean", rank=1), _value("variance", rank=1))
    yield _mil("batch_norm", (*X, *moments, *AFFINE), FLOAT)
    any_rank = tuple(replace(a, rank=-1) if a.rank == 1 else a for a in AFFINE)
    yield _mil("layer_norm", (*X, _ints("axes", True), *any_rank), FLOAT)


def _mil_layers() -> Iterator[OpSchema]:
    """Operations on images, and layers, that no pass writes: programs of others have them. The engine is not asked."""

    def layer(name: str, *args: Arg, shape: str = "", extra: tuple[TypeVar, ...] = ()) -> OpSchema:
        return _mil(name, args, FLOAT, engine=OFF_ENGINE, shape=shape, extra=extra)

    def scales(*more: Arg) -> tuple[Arg, ...]:
        names = ("scale_factor_height", "scale_factor_width")
        return (*X, *(_const(name, "int32", "fp32", default=1) for name in names), *more)

    yield layer("depth_to_space", *X, _int("block_size"))
    yield layer("space_to_depth", *X, _int("block_size"))
    yield layer("pixel_shuffle", *X, _int("upscale_factor"))
    yield layer("pixel_unshuffle", *X, _const("downscale_factor", "uint32"))
    yield layer("space_to_batch", *X, _ints("block_shape"), _const("paddings", "int32", rank=2))
    yield layer("batch_to_space", *X, _ints("block_shape"), _const("crops", "int32", rank=2))
    yield layer("upsample_nearest_neighbor", *scales(), shape="upsample")
    corners = (_flag("align_corners", True), _const("half_pixel_centers", "bool", optional=True))
    yield layer("upsample_bilinear", *scales(*corners))
    yield layer("resize_nearest_neighbor", *X, _int("target_size_height"), _int("target_size_width"), shape="resize_to")
    sizes = (_int("target_size_height", 1), _int("target_size_width", 1))
    yield layer("resize_bilinear", *X, *sizes, _text("sampling_mode", "DEFAULT"))
    modes = (_text("interpolation_mode", "LINEAR"), _text("sampling_mode", "DEFAULT"))
    yield layer("resize", *X, _ints("shape"), _const("resized_dims", "uint32"), *modes)
    yield layer("crop", *X, _ints("crop_height"), _ints("crop_width"))
    options = (
        *_texts("sampling_mode padding_mode coordinates_mode"),
        _value("padding_value"),
        _flag("align_corners", None),
    )
    sizes = (_int("output_height"), _int("output_width"))
    yield layer("affine", *_tensors("x transform_matrix"), *sizes, *options)
    yield _mil("flatten2d", (*X, _int("axis", 1)), DATA, engine=OFF_ENGINE)
    factors = (_value("alpha", 1e-4), _value("beta", 0.75), _value("k", 1.0))
    yield layer("local_response_norm", *X, _int("size"), *factors)
    yield layer("einsum", _variadic("values"), _text("equation"))
    bytes_ = TypeVar("Q", ("int8", "uint8"), ("int8", "uint8"))
    steps = (Arg("scale", "const", "T"), Arg("zero_point", "const", "Q", optional=True))
    steps = (*steps, _const("axis", "int32", optional=True))
    yield layer("dequantize", *_tensors("input", "Q"), *steps, shape="quantize", extra=(bytes_,))
    quantized = (*_tensors("input"), *steps, _text("output_dtype"))
    yield replace(layer("quantize", *quantized, extra=(bytes_,)), results=("Q",))
    mask = TypeVar("M", ("bool", *FLOAT), ("bool", *FLOAT))
    attended = (*_tensors("query key value"), *_tensors("attn_mask", "M", optional=True))
    yield layer("scaled_dot_product_attention", *attended, extra=(mask,))
    yield layer("l2_norm", *X, _value("epsilon", 1e-6))


def _mil_ops_unwritten() -> Iterator[OpSchema]:
    """MIL operations that no pass writes; programs of others have them. The CPU device lacks `lstm`."""
    yield from _unary("relu6 softsign", FLOAT)
    yield from _unary("leaky_relu elu thresholded_relu", FLOAT, _value("alpha"))
    alpha_beta = (_value("alpha"), _value("beta"))
    yield from _unary("scaled_tanh sigmoid_hard clamped_relu", FLOAT, *alpha_beta)
    yield from _unary("linear_activation", FLOAT, *alpha_beta, engine=Engine(max_rank=4))
    yield from _unary("threshold", NUMBER, _value("alpha"))
    yield from _unary("prelu", FLOAT, _value("alpha", rank=1))
    yield from _unary("instance_norm", FLOAT, *AFFINE)
    back = [_value(f"{name}_back", rank=2, optional=True) for name in ("weight_ih", "weight_hh")]
    matrices = (_value("weight_ih", rank=2), _value("weight_hh", rank=2), *back)
    vectors = ("bias", "peephole", "bias_back", "peephole_back")
    offsets = tuple(_value(name, rank=1, optional=True) for name in vectors)
    kinds = (_text("recurrent_activation", "sigmoid"), _text("cell_activation", "tanh"), _text("activation", "tanh"))
    options = (_text("direction", "forward"), _flag("output_sequence"), *kinds, _value("clip", optional=True))
    states = _tensors("x initial_h initial_c")
    lstm = _mil("lstm", (*states, *matrices, *offsets, *options), FLOAT, engine=OFF_ENGINE, cpu=False)
    yield replace(lstm, results=("T", "T", "T"))
    yield from _reduce("reduce_l1_norm reduce_l2_norm reduce_log_sum", NUMBER)


def _weights() -> Iterator[OpSchema]:
    """Constants in few bits, which the CPU device makes whole once. Exports write them in their own way.

    Types of fewer than eight bits are read as int8 and uint8.
    """
    small = ("int8", "uint8")
    table, mask = (*small, *FLOAT), TypeVar("M", ("bool", "uint8"))
    source, offset = TypeVar("S", table), TypeVar("O", table)

    def weights(
        name: str, *args: Arg, domain: tuple[str, ...], results: tuple[str, ...], extra: tuple[TypeVar, ...]
    ) -> OpSchema:
        ordered = tuple(sorted(args, key=lambda a: a.name))
        return OpSchema(name, ordered, (TypeVar("T", domain), *extra), results, targets=("cpu",), shape=name)

    def const(name: str, var: str, optional: bool = False) -> Arg:
        return Arg(name, "const", var, optional=optional)

    scales = (const("scale", "T"), const("offset", "O", True))
    palette = (const("lut", "T"), _const("vector_axis", "int32", optional=True))
    dense, sparse = ("T",), ("M", "T")
    quantized = (const("quantized_data", "S"), const("scale", "T"), const("zero_point", "O"), _int("axis"))
    yield weights("constexpr_affine_dequantize", *quantized, domain=FLOAT, results=dense,
                  extra=(TypeVar("S", small), TypeVar("O", (*small, "fp32"))))  # fmt: skip
    yield weights("constexpr_blockwise_shift_scale", const("data", "S"), *scales, domain=FLOAT, results=dense,
                  extra=(source, offset))  # fmt: skip
    yield weights("constexpr_lut_to_dense", const("indices", "S"), *palette, domain=table, results=dense,
                  extra=(TypeVar("S", ("uint8",)),))  # fmt: skip
    yield weights("constexpr_sparse_to_dense", *_tensors("nonzero_data"), *_tensors("mask", "M"), domain=table,
                  results=dense, extra=(mask,))  # fmt: skip
    yield weights("constexpr_lut_to_sparse", const("indices_mask", "M"), const("indices_nonzero_data", "S"), *palette,
                  domain=table, results=sparse, extra=(mask, TypeVar("S", ("uint8",))))  # fmt: skip
    sparse_data = (const("data_mask", "M"), const("nonzero_data", "S"))
    yield weights("constexpr_sparse_blockwise_shift_scale", *sparse_data, *scales, domain=FLOAT,
                  results=sparse, extra=(mask, source, offset))  # fmt: skip
    yield weights("constexpr_cast", const("source_val", "S"), _text("output_dtype"), domain=("fp32",), results=dense,
                  extra=(TypeVar("S", ("fp16",)),))  # fmt: skip


def _state() -> Iterator[OpSchema]:
    """Reads and writes of state, whose values the readers of texts hand on: both pass an operand through."""
    for name, args in (("read_state", _tensors("input")), ("coreml_update_state", _tensors("state value"))):
        yield OpSchema(name, args, (TypeVar("T", MOVABLE),), ("T",), targets=("cpu",), shape=name)


def _aj_ops() -> Iterator[OpSchema]:
    # elementwise
    yield from _aj("abs neg sign square", AJ_NUMBER, *X, shape="same")
    yield from _aj(
        "floor ceil round exp exp2 log log2 log1p expm1 sqrt rsqrt cbrt sin cos tan asin acos atan sinh "
        "cosh tanh asinh acosh atanh logistic erf erfc erf_inv lgamma digamma",
        AJ_FLOAT,
        *X,
        shape="same",
    )
    yield from _aj("is_finite", AJ_FLOAT, *X, result="bool", shape="same")
    yield from _aj("not", AJ_BITS, *X, shape="same")
    yield from _aj("population_count clz", AJ_INT, *X, shape="same")
    yield from _aj("integer_pow", AJ_NUMBER, *X, _int("y"), shape="same")
    yield from _aj("copy", AJ_ANY, *X, shape="same")
    to = TypeVar("R", AJ_ANY)
    yield from _aj("convert_element_type bitcast_convert_type", AJ_ANY, *X, result="R", shape="same", extra=(to,))
    yield from _aj("add sub mul div rem", AJ_NUMBER, *XY, shape="aj_binary")
    power = TypeVar("U", AJ_NUMBER)
    yield from _aj("pow", AJ_FLOAT, *X, *_tensors("y", "U"), shape="aj_binary", extra=(power,))
    yield from _aj("max min", AJ_ANY, *XY, shape="aj_binary")
    yield from _aj("atan2 nextafter", AJ_FLOAT, *XY, shape="aj_binary")
    yield from _aj("and or xor", AJ_BITS, *XY, shape="aj_binary")
    yield from _aj("shift_left shift_right_logical shift_right_arithmetic", AJ_INT, *XY, shape="aj_binary")
    yield from _aj("eq ne lt le gt ge", AJ_ANY, *XY, result="bool", shape="aj_binary")
    which = Arg("which", "tensor", "", ("bool", "int32"))
    yield from _aj("select_n", AJ_ANY, which, _variadic("cases"))
    yield from _aj("clamp", AJ_ANY, *_tensors("min x max"))
    # reductions
    yield from _aj("reduce_sum reduce_prod", AJ_NUMBER, *X, *_aj_list("axes"), shape="aj_reduce")
    yield from _aj("reduce_max reduce_min", AJ_ANY, *X, *_aj_list("axes"), shape="aj_reduce")
    yield from _aj("reduce_and reduce_or reduce_xor", AJ_BITS, *X, *_aj_list("axes"), shape="aj_reduce")
    index = (TypeVar("I", AJ_INT),)
    yield from _aj("argmax argmin", AJ_ANY, *X, *_aj_int("axis"), result="I", shape="aj_reduce_arg", extra=index)
    scan = (*X, *_aj_int("axis"), _flag("reverse", None))
    yield from _aj("cumsum cumprod cummax cummin", AJ_NUMBER, *scan, shape="aj_cumulative")
    yield from _aj("cumlogsumexp", AJ_FLOAT, *scan, shape="aj_cumulative")
    # movement
    yield from _aj("reshape", AJ_ANY, *X, *_aj_list("shape"))
    yield from _aj("transpose", AJ_ANY, *X, *_aj_list("perm"))
    yield from _aj("broadcast_in_dim", AJ_ANY, *X, *_aj_list("broadcast_dimensions shape"))
    yield from _aj("slice", AJ_ANY, *X, *_aj_list("start_indices limit_indices strides"))
    yield from _aj("concatenate", AJ_ANY, _variadic("values"), *_aj_int("dimension"))
    padding = Arg("padding_value", "tensor", "T", rank=0)
    yield from _aj("pad", AJ_ANY, *X, padding, *_aj_list("low high interior"))
    yield from _aj("rev", AJ_ANY, *X, *_aj_list("dimensions"))
    yield from _aj("iota", AJ_ANY, *_aj_int("dimension"), *_aj_list("shape"))
    starts = Arg("start_indices", "variadic", "", AJ_INT, rank=0)
    yield from _aj("dynamic_slice", AJ_ANY, *X, starts, *_aj_list("slice_sizes"), coreml=MOVABLE)
    yield from _aj("dynamic_update_slice", AJ_ANY, *_tensors("x update"), starts, coreml=MOVABLE)
    # linear algebra and windows
    wide = (TypeVar("R", AJ_ANY),)
    contraction = _aj_list("x_batch x_contracting y_batch y_contracting")
    yield from _aj("dot_general", AJ_ANY, *XY, *contraction, result="R", extra=wide)
    conv_lists = _aj_list("strides padding lhs_dilation rhs_dilation lhs_spec rhs_spec out_spec")
    conv_args = (*_tensors("x weight"), *conv_lists, *_aj_int("feature_group_count batch_group_count"))
    yield from _aj("conv_general_dilated", AJ_NUMBER, *conv_args, result="R", extra=wide)
    window = _aj_list("window_dimensions window_strides padding base_dilation window_dilation")
    for name, domain in (("sum", AJ_NUMBER), ("max", AJ_ANY), ("min", AJ_ANY)):
        yield from _aj(f"reduce_window_{name}", domain, *X, *window, shape="aj_reduce_window")
    select = (*_tensors("operand source"), _text("select"), *_aj_list("padding window_dimensions window_strides"))
    yield from _aj("select_and_scatter_add", AJ_NUMBER, *select)
    # gather, scatter, sort, random bits
    where = Arg("indices", "tensor", "", AJ_INT)
    gather = _aj_list("collapsed_slice_dims offset_dims operand_batching_dims slice_sizes start_index_map")
    gather_rest = (*_aj_list("start_indices_batching_dims"), _value("fill"), _text("mode"))
    yield from _aj("gather", AJ_ANY, *X, where, *gather, *gather_rest)
    scatter_lists = _aj_list("inserted_window_dims operand_batching_dims scatter_dims_to_operand_dims")
    scatter_rest = _aj_list("scatter_indices_batching_dims update_window_dims")
    scatter = (*_tensors("x updates"), where, _text("mode"), *scatter_lists, *scatter_rest)
    yield from _aj("scatter scatter_min scatter_max", AJ_ANY, *scatter, shape="aj_scatter")
    yield from _aj("scatter_add scatter_mul", AJ_NUMBER, *scatter, shape="aj_scatter")
    mixed = Arg("values", "variadic", "", AJ_ANY)
    sort = (mixed, *_aj_int("dimension num_keys"))
    yield from _aj("sort", AJ_ANY, *sort, result="", shape="aj_same_each", several=True, coreml=NUMBER)
    yield from _aj("optimization_barrier", AJ_ANY, mixed, result="", shape="aj_same_each", several=True)
    fft = (_variadic("values"), _text("kind"), *_aj_list("lengths"))
    yield from _aj("fft", ("fp32", "fp64"), *fft, several=True)
    # factorizations, by LAPACK; complex matrices have a last axis of real and imaginary part
    real = ("fp32", "fp64")

    def flags(names: str) -> tuple[Arg, ...]:
        return _flag("complex"), *(_flag(name, None) for name in names.split())

    sides = flags("left_side lower transpose_a unit_diagonal")
    yield from _aj("cholesky", real, *X, *flags("symmetrize_input"))
    yield from _aj("triangular_solve", real, *_tensors("a b"), *sides)
    yield from _aj("lu", real, *X, *flags(""), results=("T", "int32", "int32"))
    yield from _aj("qr", real, *X, *flags("full_matrices"), results=("T", "T"))
    yield from _aj("eigh", real, *X, *flags("lower symmetrize_input"), results=("T", "T"))
    yield from _aj("svd", real, *X, *flags("compute_uv full_matrices"), several=True)
    yield from _aj("eig", real, *X, *flags("left right"), several=True)
    yield from _aj("schur", real, *X, *flags("vectors"), several=True)
    yield from _aj("threefry2x32", ("uint32",), *_tensors("k0 k1 x0 x1"), results=("T", "T"))
    # between processes
    yield from _aj("process_sum", (*AJ_INT, "fp32", "fp64"), _variadic("values"), several=True)
    yield from _aj("process_gather", AJ_ANY, *X, *_aj_int("size"))
    yield from _aj("process_exchange", AJ_ANY, *X)
    yield from _aj("process_cut process_join", AJ_ANY, *X, *_aj_int("size"))
    yield from _aj("process_permute", AJ_ANY, *X, *_aj_list("sources targets"))
    yield from _aj("process_index", ("int32",))
    # control flow
    scan = (*_functions("body"), *_mixed("carry consts xs"), _int("length"), _flag("reverse"))
    yield from _aj("scan", AJ_ANY, *scan, result="", several=True)
    loop = (*_functions("body cond"), *_mixed("body_consts carry cond_consts"))
    yield from _aj("while", AJ_ANY, *loop, result="", several=True, coreml=DATA)
    choice = (*_functions("branches", "functions"), Arg("index", "tensor", "", ("int32",), 0), *_mixed("operands"))
    yield from _aj("cond", AJ_ANY, *choice, result="", several=True, coreml=DATA)


OPSET: dict[str, OpSchema] = {
    schema.name: schema
    for group in (_mil_ops(), _mil_layers(), _mil_ops_unwritten(), _weights(), _state(), _aj_ops())
    for schema in group
}
