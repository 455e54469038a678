"""jit, and the other functions that stage: make_jaxpr and eval_shape."""

from __future__ import annotations

import functools
import inspect
import logging
import operator
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from anejax import tree
from anejax.api.flat import FlatFunction, abstract, check_leaves, name_of
from anejax.api.memory import Memory, Remembers, cost_of, forget_all, memory_of
from anejax.api.stages import Lowered, Staged, Traced, check_options
from anejax.config import config
from anejax.core.array import Array, DeviceArray
from anejax.core.aval import Aval
from anejax.core.context import base_trace, current_trace, has_trace
from anejax.core.graph import has_effects_in_while
from anejax.core.recent import Recent
from anejax.core.trace import Tracer, concrete_array, conversion_of, executor, user_stacklevel
from anejax.transforms.calls import call_p
from anejax.transforms.stage import stage
from anejax.transforms.vmap import named_axes

ONLY_ARRAYS = {DeviceArray}
AVAL = operator.attrgetter("aval")
_LEAF = tree.structure(0)
SHORT_FORMS = 64  # that one jitted function keeps
_LOG = logging.getLogger("anejax")


_JITTED: weakref.WeakSet[Jitted] = weakref.WeakSet()


def _forms(fun: Any, options: Any) -> Recent[Any, Staged]:
    """The staged forms of ``fun``, shared by every ``jit`` of it with these options, as ``jit(f)(x)`` in a loop is.

    Tracing is what strict promotion refuses, and a form is divided between devices once: these settings are among the
    options.
    """
    tracing = config.jax_numpy_dtype_promotion, config.jax_numpy_rank_promotion
    division = config.chip, config.engine_partition, config.engine_fallback
    return memory_of(fun).table(("jit", *options, tracing, division))


def clear_caches() -> None:
    """Forgets every staged form of every jitted function, and the programs compiled from them."""
    forget_all()
    for jitted in list(_JITTED):
        jitted.clear_cache()
    executor().clear()


class Jitted(Remembers):
    """The result of ``jit``: a function that is staged once for each structure and types of its arguments."""

    def __init__(
        self, fun: Callable[..., Any], static: Callable[..., tuple[set[int], set[str]]], donate: Any = (),
        donate_names: Any = (), device: str | None = None, precision: str | None = None,
        forms: Recent[Any, Staged] | None = None, constants: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        functools.update_wrapper(self, fun, updated=())
        self._fun = fun
        self._static = static
        self._donate, self._donate_names = donate, donate_names
        self._device, self._precision = device, precision
        self._constants = constants
        self._cache: Recent[Any, Staged] = Memory().table(None) if forms is None else forms
        self._short: dict[Any, Callable[[Any], Any]] = {}
        _JITTED.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        stamp = config.stamp
        if stamp is None or has_trace():
            return self._call(args, kwargs)
        flat = None
        if not kwargs and ONLY_ARRAYS.issuperset(map(type, args)):
            leaves, structure = args, None
        elif self._static is no_statics:
            leaves, structure = flat = tree.flatten((args, kwargs))
            if not ONLY_ARRAYS.issuperset(map(type, leaves)):
                return self._call(args, kwargs, flat=flat)
        else:
            return self._call(args, kwargs)
        key = stamp, tuple(map(AVAL, leaves)), structure
        call = self._short.get(key)
        return self._call(args, kwargs, key, flat) if call is None else call(leaves)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any = None, flat: Any = None) -> Any:
        """The whole of a call. Under ``key`` it keeps a short form for calls with as many arrays of these types.
        ``flat`` has the arguments flattened, if the caller knows them so."""
        if config.jax_disable_jit:
            return self._fun(*args, **kwargs)
        staged, leaves = self._staged(args, kwargs, flat=flat)
        types = set(map(type, leaves))
        arrays = leaves if types <= ONLY_ARRAYS else None
        if current_trace() is base_trace() and (arrays is not None or not any(issubclass(t, Tracer) for t in types)):
            arrays = staged.consts + (arrays if arrays is not None else list(map(concrete_array, leaves)))
            outs = executor().run_graph(staged.graph, arrays, staged.donated, self.device, staged.frozen)
            if key is not None:
                self._shorten(key, staged)
        else:
            outs = call_p.bind(*staged.consts, *leaves, graph=staged.graph, name=staged.name, donated=staged.donated)
        return tree.unflatten(staged.out_tree, outs)

    def _shorten(self, key: Any, staged: Staged) -> None:
        """Keeps what calls under ``key`` do, unless the function has to be interpreted."""
        if has_effects_in_while(staged.graph):
            return
        executable = executor().compile_graph(staged.graph, staged.donated, self.device, staged.frozen)
        run, consts, out_tree = executable.short_call() or executable, staged.consts, staged.out_tree
        if len(key[1]) + len(consts) != len(staged.graph.inputs):  # static arguments are no inputs
            return
        if len(self._short) >= SHORT_FORMS:
            self._short.clear()
        if consts:
            self._short[key] = lambda args: tree.unflatten(out_tree, run([*consts, *args]))
        elif out_tree == _LEAF:
            self._short[key] = lambda args: run(args)[0]
        else:
            self._short[key] = lambda args: tree.unflatten(out_tree, run(args))

    @property
    def device(self) -> str:
        """The device that it was made for, or the default one; "cpu-fp16" is the CPU with the engine's numerics."""
        device, precision = self._device or config.device, self._precision or config.precision
        if precision == "float32":
            return device
        _check_precision(precision)
        return "cpu-fp16" if device == "cpu" else device

    def _staged(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], types_only: bool = False, flat: Any = None
    ) -> tuple[Staged, list]:  # fmt: skip
        static_nums, static_names = self._static(len(args), kwargs)
        if static_nums or static_names:
            statics = tuple((i, _hashable(self, args[i])) for i in sorted(static_nums))
            statics += tuple((k, _hashable(self, kwargs[k])) for k in sorted(static_names))
            dynamic = (tuple(a for i, a in enumerate(args) if i not in static_nums),
                       {k: v for k, v in kwargs.items() if k not in static_names})  # fmt: skip
        else:
            statics, dynamic = (), (args, kwargs)
        if flat is not None:
            leaves, in_tree = flat
        elif dynamic[1] or not ONLY_ARRAYS.issuperset(map(type, dynamic[0])):
            leaves, in_tree = tree.flatten(dynamic)
        else:
            leaves, in_tree = list(dynamic[0]), _tree_of_leaves(len(dynamic[0]))
        try:
            avals = tuple([x.aval for x in leaves])
        except AttributeError:
            avals = (
                tuple(abstract(x) for x in leaves)
                if types_only
                else tuple(
                    check_leaves(name_of(self._fun), "an argument", leaves, in_tree, None if statics else self._fun)
                )
            )
        key = (in_tree, avals, statics, config.jax_enable_x64, named_axes())
        staged = self._cache.get(key)
        if staged is None:
            if not all(isinstance(a, Aval) for a in avals):  # arrays of jax have avals too, but jax's
                unconverted = next((x for x, a in zip(leaves, avals) if not isinstance(a, Aval) and _own(x) is x), None)
                if unconverted is not None:  # typed keys of jax
                    check_leaves(name_of(self._fun), "an argument", [unconverted], tree.structure(0))
                args, kwargs = tree.map(_own, (args, kwargs))
                return self._staged(args, kwargs, types_only)
            staged = self._trace(in_tree, avals, static_nums, static_names, args, kwargs)
            if not any(isinstance(c, Tracer) for c in staged.consts):
                self._cache.put(key, staged, cost_of(staged.graph, staged.consts))
        return staged, leaves

    def _trace(self, in_tree: Any, avals: Sequence[Aval], nums: Any, names: Any, args: Any, kwargs: Any) -> Staged:
        fixed = {i: args[i] for i in nums}
        fixed_names = {k: kwargs[k] for k in names}

        def with_statics(*dynamic: Any, **named: Any) -> Any:
            given = iter(dynamic)
            full = [fixed[i] if i in fixed else next(given) for i in range(len(dynamic) + len(fixed))]
            return self._fun(*full, **named, **fixed_names)

        if config.jax_log_compiles:
            types = ", ".join(map(str, avals)) or "no arguments"
            _LOG.warning("[jit] compiling %s for %s", name_of(self._fun), types, stacklevel=user_stacklevel())
        with_statics.__name__ = name_of(self._fun)
        flat = FlatFunction(with_statics, in_tree)
        graph, consts = stage(flat, avals)
        given = self._donated(in_tree, nums, len(args))
        return Staged(graph, consts, in_tree, flat.out_tree, given, name_of(self._fun), self._frozen(consts))

    def _frozen(self, captured: Sequence[Any]) -> dict[int, Any]:
        """The captured arrays that are to be constants, by their index."""
        wanted = set(map(id, self._constants))
        found = {i: x for i, x in enumerate(captured) if id(x) in wanted}
        if wanted and not found:
            raise ValueError(
                f"[jit] expected constants to be arrays that {name_of(self._fun)} closes over, which uses none of them."
                " Write jit(lambda x: f(params, x), constants=params)."
            )
        return found

    def _donated(self, in_tree: Any, static_nums: Any, count: int) -> list[bool]:
        """A flag per leaf of the dynamic arguments."""
        if not self._donate and not self._donate_names:
            return []
        chosen = {d % count for d in self._donate if -count <= d < count}
        args_tree, kwargs_tree = in_tree.children()
        dynamic = [i for i in range(count) if i not in static_nums]
        flags = [i in chosen for i, sub in zip(dynamic, args_tree.children()) for _ in range(sub.num_leaves)]
        for key, sub in zip(kwargs_tree.entries(), kwargs_tree.children()):
            flags += [key in self._donate_names] * sub.num_leaves
        return flags

    def lower(self, *args: Any, **kwargs: Any) -> Lowered:
        """Stages and lowers at the types of ``args`` (arrays or ShapeDtypeStructs), without running.

        The result has ``as_text()`` (MIL), ``compile()``, ``in_tree``, ``out_info`` and ``graph``.
        """
        staged, _ = self._staged(args, kwargs, types_only=True)
        return Lowered(staged, self.device)

    def trace(self, *args: Any, **kwargs: Any) -> Traced:
        """The Graph at the types of ``args``, with the trees and types of arguments and output, and ``lower()``."""
        staged, _ = self._staged(args, kwargs, types_only=True)
        return Traced(staged, self.device)

    def eval_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The output's tree of ShapeDtypeStructs."""
        return self.lower(*args, **kwargs).out_info

    def executables(self) -> list[Any]:
        """The executables of this function, one for each combination of argument types that was called."""
        return [executor().compile_graph(s.graph, s.donated, self.device, s.frozen) for s in self._cache.values()]

    def clear_cache(self) -> None:
        """Forgets every staged form."""
        self._short.clear()
        self._cache.clear()

    def _cache_size(self) -> int:
        return len(self._cache)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<jitted {name_of(self._fun)}>"


@functools.cache
def _tree_of_leaves(count: int) -> Any:
    """The structure of so many positional arguments that are arrays; optree takes a microsecond to say it."""
    return tree.structure(((0,) * count, {}))


def _own(leaf: Any) -> Any:
    """An array of jax as one of ours, anything else as it is."""
    foreign = hasattr(leaf, "aval") and not isinstance(leaf, Array)
    return concrete_array(leaf) if foreign and conversion_of(leaf) is not None else leaf


def _hashable(jitted: Jitted, value: Any) -> Any:
    if isinstance(value, Tracer):
        raise TypeError(
            f"[jit] a static argument of {name_of(jitted._fun)} is {value.describe()}; it needs a value."
            " Make it static in the outer function too, or leave it out of static_argnums."
        )
    try:
        hash(value)
    except TypeError:
        raise ValueError(
            f"[jit] a static argument of {name_of(jitted._fun)} must be hashable, got {type(value).__name__}"
            f" {value!r:.60}."
            " Pass a tuple instead of a list, or make the argument dynamic."
        ) from None
    return (type(value), value)


def jit(
    fun: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] | None = None,
    static_argnames: str | Iterable[str] | None = None,
    donate_argnums: int | Sequence[int] | None = None,
    donate_argnames: str | Iterable[str] | None = None,
    inline: bool = False,
    device: Any = None,
    keep_unused: bool = False,
    in_shardings: Any = None,
    out_shardings: Any = None,
    backend: str | None = None,
    compiler_options: None = None,
    precision: str | None = None,
    constants: Any = (),
) -> Any:
    """``fun`` staged once per types of its arguments, compiled to a native program, and run there.

    Args:
        fun: a pure function of pytrees of arrays. Without it, a decorator.
        static_argnums, static_argnames: arguments that are hashable Python values; each value is staged anew.
        donate_argnums, donate_argnames: arguments whose memory the outputs may take; they are deleted by the call.
        inline, keep_unused: accepted for compatibility; the result is the same.
        device: "cpu", "ane" (the Neural Engine, with the CPU device beside it), or None: the default device. It
            counts where the call is made outside other transformations.
        in_shardings, out_shardings: accepted for compatibility where they name one device: arrays lie on one anyway.
        backend: another name for ``device``.
        compiler_options: None: they are XLA's.
        precision: "fp16": on the CPU device, operations that the engine supports run with its numerics, float16 with
            narrow sums and infinite products from 32768 on; ``numerics_report`` says what that loses. "float32": as
            usual. None: the setting ``precision``.
        constants: a pytree of arrays that ``fun`` closes over and that never change, such as a trained network's
            weights. The engine's programs have them inside, which is faster by far; each array takes a separate
            compile. On the CPU device, and inside other transformations, they are inputs as ever.

    Returns:
        A function with ``lower(...)``, ``trace(...)``, ``eval_shape(...)`` and ``clear_cache()``.

    Raises:
        TracerBoolConversionError: ``fun`` branches on a traced value. ValueError: a static argument is not hashable,
        or ``fun`` closes over none of the ``constants``.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.jit(lambda x: jnp.sin(x) * 2)(0.0)
        Array(0., dtype=float32, weak_type=True)
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            donate_argnames=donate_argnames, inline=inline, device=device, keep_unused=keep_unused, backend=backend,
            in_shardings=in_shardings, out_shardings=out_shardings, compiler_options=compiler_options,
            precision=precision, constants=constants,
        )  # fmt: skip
    if not callable(fun):
        raise TypeError(f"[jit] expected a function, got {type(fun).__name__}.")
    device = backend if device is None else device
    for place in (device, *tree.leaves((in_shardings, out_shardings))):
        executor().check_device(place)
    check_options("jit", compiler_options)
    _check_precision(precision)
    platform = getattr(device, "platform", device)
    statics = as_tuple(static_argnums), as_tuple(static_argnames)
    donated = as_tuple(donate_argnums), as_tuple(donate_argnames)
    static, (donate, donate_names) = static_resolver(fun, *statics), _donation(fun, *donated)
    both = (set(statics[1]) & donate_names) | (set(statics[0]) & donate)
    if both:
        raise ValueError(f"[jit] {', '.join(map(repr, both))} of {name_of(fun)} is both static and donated.")
    frozen = tree.leaves(constants)
    for i, leaf in enumerate(frozen):
        if not isinstance(leaf, DeviceArray):  # fun itself reads the other leaves, and makes new arrays from them
            raise TypeError(
                f"[jit] expected constants that are arrays of anejax, got {type(leaf).__name__} as leaf {i}. Write"
                " params = anejax.tree.map(anejax.numpy.asarray, params) first, and let fun use those."
            )
    forms = None if frozen else _forms(fun, (statics, donated))
    return Jitted(fun, static, donate, donate_names, platform, precision, forms, frozen)


def _check_precision(precision: str | None) -> None:
    """Raises ValueError for a precision that is not known."""
    if precision not in (None, "float32", "fp16"):
        raise ValueError(f"[jit] expected a precision of 'float32' or 'fp16', got {precision!r}.")


def as_tuple(value: Any) -> tuple[Any, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, (int, str)) else tuple(value)


def _positional(fun: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(fun).parameters.values()
    except (ValueError, TypeError):
        return []
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def no_statics(count: int, keywords: Iterable[str]) -> tuple[set[int], set[str]]:
    """The result of ``static_resolver`` for a function without static arguments."""
    return set(), set()


def static_resolver(fun: Callable[..., Any], nums: tuple[int, ...], names: tuple[str, ...]) -> Any:
    """A function from (positional count, keyword names) of a call to its static positions and names."""
    positional = _positional(fun) if nums or names else []
    if names:
        parameters = inspect.signature(fun).parameters
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        for name in names:
            if name not in parameters and not takes_any:
                raise ValueError(f"[jit] static_argnames names {name!r}, which {name_of(fun)} does not take.")
    takes_more = not positional or any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(fun).parameters.values())
    outside = [] if takes_more else [n for n in nums if not -len(positional) <= n < len(positional)]
    if outside:
        raise ValueError(
            f"[jit] static_argnums names argument {outside[0]}, but {name_of(fun)} takes {len(positional)} by position."
        )
    normal = {n % len(positional) if n < 0 and positional else n for n in nums}
    by_name = {*names, *(positional[n] for n in normal if n < len(positional))}
    by_position = normal | {positional.index(n) for n in names if n in positional}
    if not by_position and not by_name:
        return no_statics

    def resolve(count: int, keywords: Iterable[str]) -> tuple[set[int], set[str]]:
        return {n for n in by_position if n < count}, {k for k in keywords if k in by_name}

    return resolve


def _donation(fun: Callable[..., Any], nums: tuple[int, ...], names: tuple[str, ...]) -> tuple[set[int], set[str]]:
    positional = _positional(fun) if nums or names else []
    return (
        {*nums, *(positional.index(n) for n in names if n in positional)},
        {*names, *(positional[n] for n in nums if 0 <= n < len(positional))},
    )


def make_jaxpr(
    fun: Callable[..., Any], static_argnums: int | Sequence[int] = (), return_shape: bool = False
) -> Callable[..., Any]:
    """A function that returns the Graph of ``fun`` at its arguments, for reading.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> print(aj.make_jaxpr(lambda x: jnp.sin(x) * 2)(1.0))
        { lambda ; a:f32*[]. let
            b:f32*[] = sin a
            c:f32*[] = mul b 2.0:f32*[]
          in (c,) }
    """
    jitted = Jitted(fun, static_resolver(fun, as_tuple(static_argnums), ()))

    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def traced(*args: Any, **kwargs: Any) -> Any:
        lowered = jitted.lower(*args, **kwargs)
        return (lowered.graph, lowered.out_info) if return_shape else lowered.graph

    return traced


def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The shapes and dtypes of ``fun(*args, **kwargs)``, without computing; arguments may be ShapeDtypeStructs."""
    return Jitted(fun, static_resolver(fun, (), ())).eval_shape(*args, **kwargs)
