"""Derivatives: jvp, linearize, vjp, grad, and the Jacobians and Hessians built on them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from anejax import dtypes, tree
from anejax.api.batching import vmap
from anejax.api.flat import (
    FlatFunction,
    abstract,
    argument_paths,
    aval_of_tangent,
    check_cotangents,
    check_leaves,
    name_of,
    select_args,
)
from anejax.core.array import DeviceArray
from anejax.core.aval import Aval
from anejax.core.graph import remove_dead
from anejax.core.primitive import Linear, Zero
from anejax.core.trace import aval_of
from anejax.errors import DtypeError, ShapeError
from anejax.ops.elementwise import convert_element_type
from anejax.ops.families import instantiate
from anejax.ops.shape import reshape
from anejax.transforms.collectives import check_gradients
from anejax.transforms.jvp import jvp_flat
from anejax.transforms.linearize import Linearized, apply_linear, backward_mixed, linearize_flat
from anejax.transforms.stage import stage
from anejax.transforms.transpose import backward
from anejax.tree import PyTree


def _flat(fun: Callable[..., Any], args: Any, has_aux: bool = False) -> tuple[FlatFunction, list[Any]]:
    leaves, treedef = tree.flatten((tuple(args), {}))
    check_leaves(name_of(fun), "an argument", leaves, treedef, fun)
    return FlatFunction(fun, treedef, has_aux), leaves


def _tangent_in(primal: Aval, tangent: Any) -> Any:
    """A tangent as rules take it: float0 becomes ``Zero``, a weak Python scalar takes the primal's dtype."""
    aval = primal.tangent()
    if aval.dtype == dtypes.float0:
        return Zero(aval)
    return convert_element_type(tangent, aval.dtype) if aval_of(tangent).dtype != aval.dtype else tangent


def _tangent_of(aval: Aval, t: Any) -> Any:
    """The tangent of an output as users get it. It is weak if the output is, as in JAX."""
    if aval.weak_type and not isinstance(t, Zero):
        t = convert_element_type(t, aval_of(t).dtype, True)
    return _tangent_out(t)


def _tangent_out(t: Any) -> Any:
    """A tangent as users see it: arrays, and float0 NumPy zeros for integers."""
    if isinstance(t, Zero):
        if t.aval.dtype == dtypes.float0:
            return np.zeros(t.aval.shape, dtypes.float0)
        zero = instantiate(t)
        return DeviceArray(t.aval, zero) if isinstance(zero, np.ndarray) else zero  # zero may have rank 0
    return t


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> PyTree:
    """The value of ``fun`` at ``primals`` and its derivative along ``tangents``.

    Args:
        fun: a function of positional pytree arguments.
        primals, tangents: tuples of equal structure; a tangent has its primal's shape and dtype (float0 for integers).
        has_aux: ``fun`` returns (output, aux).

    Returns:
        (output, output tangent), or with aux (output, output tangent, aux).

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.jvp(jnp.square, (3.0,), (1.0,))
        (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise TypeError(
            f"[jvp] expected primals and tangents as tuples, got {type(primals).__name__} and"
            f" {type(tangents).__name__}. For one argument write jvp(f, (x,), (t,))."
        )
    flat, leaves = _flat(fun, primals, has_aux)
    ts = tree.flatten_up_to(flat.in_tree, (tuple(tangents), {}), "tangents")
    avals = list(map(aval_of, leaves))
    check_cotangents("jvp", avals, ts, flat.in_tree)
    outs, out_ts = jvp_flat(flat, leaves, [_tangent_in(a, t) for a, t in zip(avals, ts)])
    found = map(_tangent_of, map(aval_of, outs), out_ts)
    result = tree.unflatten(flat.out_tree, outs), tree.unflatten(flat.out_tree, found)
    return (*result, flat.aux) if has_aux else result


@dataclasses.dataclass(frozen=True, eq=False)
class _Derivative:
    """The data of ``linearize`` and ``vjp`` at a point, except the arrays, which they carry as leaves of a Partial."""

    lin: Linearized
    in_avals: list[Aval]
    out_avals: list[Aval]
    in_tree: tree.PyTreeDef
    out_tree: tree.PyTreeDef

    def push_forward(self, residuals: list[Any], *tangents: PyTree) -> PyTree:
        ts = tree.flatten_up_to(self.in_tree, (tangents, {}), "tangents")
        check_cotangents("linearize", self.in_avals, ts, self.in_tree)
        given = [_tangent_in(a, t) for a, t in zip(self.in_avals, ts)]
        found = apply_linear(self.lin._replace(residuals=residuals), given)
        return tree.unflatten(self.out_tree, map(_tangent_of, self.out_avals, found))

    def pull_back(self, residuals: list[Any], cotangent: Any) -> PyTree:
        cts = tree.flatten_up_to(self.out_tree, cotangent, "the cotangent")
        check_cotangents("vjp", self.out_avals, cts, self.out_tree)
        given = [_tangent_in(a, ct) for a, ct in zip(self.out_avals, cts)]
        found = _pull_back(self.lin._replace(residuals=residuals), given)
        return tree.unflatten(self.in_tree, [_cotangent_out(a, ct) for a, ct in zip(self.in_avals, found)])[0]


def _at_point(
    fun: Callable[..., Any], primals: Sequence[Any], has_aux: bool
) -> tuple[Any, _Derivative, list[Any], Any]:
    """(output, derivative, its residuals, aux) of ``fun`` at ``primals``."""
    check_gradients("vjp")
    flat, leaves = _flat(fun, primals, has_aux)
    lin = linearize_flat(flat, leaves)
    in_avals, out_avals = list(map(aval_of, leaves)), list(map(aval_of, lin.outs))
    bare = lin._replace(outs=[], residuals=[])
    derivative = _Derivative(bare, in_avals, out_avals, flat.in_tree, flat.out_tree)
    return tree.unflatten(flat.out_tree, lin.outs), derivative, lin.residuals, flat.aux


def linearize(fun: Callable[..., Any], *primals: PyTree, has_aux: bool = False) -> Any:
    """The value of ``fun`` at ``primals``, and its derivative there as a function of tangents.

    The function keeps the values of the evaluation that it needs, so that applying it many times costs only the linear
    part. It is a tree of that, so jitted functions may return and take it.
    """
    outs, derivative, residuals, aux = _at_point(fun, primals, has_aux)
    # a custom_vjp function has no forward mode, but it may stand in equations that no result needs
    lin = derivative.lin._replace(graph=remove_dead(derivative.lin.graph))
    linear = tree.Partial(dataclasses.replace(derivative, lin=lin).push_forward, residuals)
    return (outs, linear, aux) if has_aux else (outs, linear)


def _pull_back(lin: Linearized, cts: Sequence[Any]) -> list[Any]:
    """Cotangents (or ``Zero``) of all inputs of a linearised function."""
    inputs = lin.graph.in_avals[len(lin.residuals) :]
    given = [ct for ct, nz in zip(cts, lin.nonzero_out) if nz]
    found = iter(backward(lin.graph, [*lin.residuals, *map(Linear, inputs)], given)[len(lin.residuals) :])
    return [next(found) if nz else None for nz in lin.nonzero_in]


def _cotangent_out(primal: Aval, ct: Any) -> Any:
    """A cotangent as users get it: it is weak if its primal is, as in JAX, even if the rules returned another type."""
    aval = primal.tangent()
    if ct is None or isinstance(ct, Zero) or aval.dtype == dtypes.float0:
        return _tangent_out(Zero(aval) if ct is None else ct)
    return _tangent_out(convert_element_type(ct, aval.dtype, aval.weak_type))


def vjp(fun: Callable[..., Any], *primals: PyTree, has_aux: bool = False) -> Any:
    """The value of ``fun`` at ``primals``, and the function from output cotangents to input cotangents.

    Returns:
        (output, vjp_fun), or with ``has_aux`` (output, vjp_fun, aux); ``vjp_fun(cotangent)`` returns a tuple with one
        cotangent tree per argument. It is a tree of the arrays that it needs, so jitted functions may return and take
        it.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> y, back = aj.vjp(jnp.sin, 0.0)
        >>> back(2.0)
        (Array(2., dtype=float32, weak_type=True),)
    """
    outs, derivative, residuals, aux = _at_point(fun, primals, has_aux)
    vjp_fun = tree.Partial(derivative.pull_back, residuals)
    return (outs, vjp_fun, aux) if has_aux else (outs, vjp_fun)


def linear_transpose(fun: Callable[..., Any], *primals: PyTree) -> Callable[[Any], Any]:
    """The transpose of a linear ``fun``: a function from output cotangents to a tuple of input cotangents.

    ``primals`` give only types (arrays or ShapeDtypeStructs). Raises RefusedError where ``fun`` is not linear.
    """
    leaves, in_tree = tree.flatten((primals, {}))
    avals = [abstract(x) for x in leaves]
    flat = FlatFunction(fun, in_tree)
    graph, consts = stage(flat, avals)

    def transposed(cotangent: Any) -> Any:
        cts = tree.flatten_up_to(flat.out_tree, cotangent, "the cotangent")
        check_cotangents("linear_transpose", graph.out_avals, cts, flat.out_tree)
        found = backward_mixed(graph, [*consts, *map(Linear, avals)], cts)[len(consts) :]
        return tree.unflatten(in_tree, map(_tangent_out, found))[0]

    return transposed


def value_and_grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the value of scalar ``fun`` and its gradient.

    Args:
        fun: returns a float scalar, or (scalar, aux) with ``has_aux``; a complex one with ``holomorphic``.
        argnums: which positional arguments to differentiate; an int gives one gradient tree, a sequence a tuple.
        allow_int: integer arguments get float0 gradients instead of an error.
        holomorphic: arguments and value are complex and ``fun`` has a complex derivative, which is returned. Without
            it the value is real, and the gradient in a complex argument z = x + iy is df/dx - i df/dy.

    Returns:
        A function ``(*args, **kwargs) -> (value, gradient)``, or ``((value, aux), gradient)``.

    Raises:
        TypeError: the value is no float scalar, or an argument is not of floats.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.value_and_grad(lambda x: jnp.sum(x * x))(jnp.ones(3))
        (Array(3., dtype=float32), Array([2., 2., 2.], dtype=float32))
    """
    return _value_and_grad("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int)


def _value_and_grad(
    op: str, fun: Callable[..., Any], argnums: Any, has_aux: bool, holomorphic: bool, allow_int: bool
) -> Callable[..., Any]:
    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def with_grad(*args: Any, **kwargs: Any) -> Any:
        check_gradients(op)
        of_chosen, chosen = select_args(op, fun, argnums, args, kwargs)
        flat, leaves = _flat(of_chosen, chosen, has_aux)
        _check_inputs(op, of_chosen, leaves, flat.in_tree, allow_int, holomorphic)
        lin = linearize_flat(flat, leaves)
        _check_scalar(op, fun, lin.outs, flat.out_tree, holomorphic)
        (value,) = lin.outs
        aval = aval_of(value)
        found = _pull_back(lin, [np.ones((), aval.dtype)])
        cts = [_cotangent_out(aval_of(p), ct) for p, ct in zip(leaves, found)]
        grads = tree.unflatten(flat.in_tree, cts)[0]
        value = tree.unflatten(flat.out_tree, [value])
        return ((value, flat.aux) if has_aux else value), grads[0] if isinstance(argnums, int) else grads

    return with_grad


def _check_inputs(
    op: str,
    fun: Callable[..., Any],
    leaves: Sequence[Any],
    in_tree: tree.PyTreeDef,
    allow_int: bool,
    holomorphic: bool,
    real: bool = False,
) -> None:
    """Inputs must be complex when ``holomorphic``, else floats or, unless ``real``, complex."""
    wanted = dtypes.COMPLEX if holomorphic else dtypes.FLOATS if real else dtypes.INEXACT
    for i, leaf in enumerate(leaves):
        aval = aval_of(leaf)
        if aval.dtype in wanted or (allow_int and not holomorphic and aval.dtype not in dtypes.INEXACT):
            continue
        given = f"got {aval} for argument {argument_paths(fun, in_tree)[i]}."
        if holomorphic:
            raise DtypeError(f"[{op}] expected complex inputs, as holomorphic=True promises, {given}")
        if aval.dtype in dtypes.COMPLEX:
            raise DtypeError(
                f"[{op}] expected float inputs, {given} Pass holomorphic=True if the function has a"
                " complex derivative, else use anejax.jvp with tangents of your choice."
            )
        raise DtypeError(
            f"[{op}] expected float inputs, {given} Convert it with x.astype(float), leave it out of"
            " argnums, or pass allow_int=True."
        )


def _check_output(op: str, name: str, aval: Aval, holomorphic: bool) -> None:
    """Outputs must be complex when ``holomorphic``, else floats."""
    if aval.dtype in (dtypes.COMPLEX if holomorphic else dtypes.FLOATS):
        return
    if holomorphic:
        raise DtypeError(f"[{op}] expected {name} to return complex numbers, as holomorphic=True promises, got {aval}.")
    if aval.dtype in dtypes.COMPLEX:
        raise DtypeError(
            f"[{op}] expected {name} to return floats, got {aval}. Pass holomorphic=True if the function has a complex"
            " derivative; return a real number such as abs(z), or use anejax.vjp with a cotangent of your choice."
        )
    raise DtypeError(f"[{op}] expected {name} to return floats, got {aval}. Convert with .astype(float).")


def _check_scalar(
    op: str, fun: Callable[..., Any], outs: Sequence[Any], out_tree: tree.PyTreeDef, holomorphic: bool
) -> None:
    avals = [aval_of(o) for o in outs]
    name = name_of(fun)
    if len(avals) != 1 or not out_tree.is_leaf():
        raise TypeError(
            f"[{op}] expected {name} to return one scalar, got a tree of {len(avals)} arrays. Return (loss, aux) with"
            " has_aux=True, or use anejax.jacrev."
        )
    if avals[0].shape != ():
        raise ShapeError(
            f"[{op}] expected {name} to return a scalar, got {avals[0]}. Reduce it, for instance with .mean() or"
            " .sum(), or use anejax.jacrev."
        )
    _check_output(op, name, avals[0], holomorphic)


def grad(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """A function that returns the gradient of scalar ``fun``; with ``has_aux`` (gradient, aux).

    Arguments and errors are those of ``value_and_grad``.

    Example:
        >>> import anejax as aj
        >>> aj.grad(lambda x: x ** 3)(2.0)
        Array(12., dtype=float32, weak_type=True)
    """
    both = _value_and_grad("grad", fun, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def only_grad(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return only_grad


# --- Jacobians --------------------------------------------------------------------------------------------------


def _basis(avals: Sequence[Aval], index: int) -> list[Any]:
    """The standard basis of leaf ``index``, mapped over axis 0, with zeros for the other leaves."""
    n = avals[index].size
    out = []
    for i, a in enumerate(avals):
        eye = np.eye(n, dtype=a.dtype).reshape(n, *a.shape) if i == index else np.zeros((n, *a.shape), a.dtype)
        out.append(eye)
    return out


def jacfwd(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The Jacobian of ``fun`` by forward mode, one pass per input element: best for few inputs.

    Each output leaf becomes a tree like the chosen arguments, with leaves of shape output shape + input shape.
    ``holomorphic``: inputs and outputs are complex, and so is the derivative.

    Example:
        >>> import anejax as aj, anejax.numpy as jnp
        >>> aj.jacfwd(lambda x: x[:1] * x)(jnp.array([1.0, 2.0]))
        Array([[2., 0.],
               [2., 1.]], dtype=float32)
    """

    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = select_args("jacfwd", fun, argnums, args, kwargs)
        leaves, in_tree = tree.flatten(chosen)
        _check_inputs("jacfwd", of_chosen, leaves, tree.structure((chosen, {})), False, holomorphic, real=True)
        avals = [aval_of(x) for x in leaves]
        aux: list[Any] = []

        def push(*tangents: PyTree) -> Any:
            found = jvp(lambda *xs: _call_flat(of_chosen, in_tree, xs), tuple(leaves), tangents, has_aux=has_aux)
            for out in tree.leaves(found[0]) if holomorphic else ():
                _check_output("jacfwd", name_of(fun), aval_of(out), True)
            aux[:] = found[2:]
            return found[1]

        columns = []  # per input leaf: a tree of outputs with a leading axis over its elements
        for i, aval in enumerate(avals):
            found, found_aux = vmap(lambda *ts: (push(*ts), tuple(aux)), out_axes=(-1, None))(*_basis(avals, i))
            aux[:] = found_aux
            columns.append(tree.map(lambda y, a=aval: reshape(y, aval_of(y).shape[:-1] + a.shape), found))
        rows = _per_output(columns, in_tree, argnums)
        return (rows, aux[0]) if has_aux else rows

    return jacobian


def _call_flat(fun: Callable[..., Any], in_tree: tree.PyTreeDef, leaves: Sequence[Any]) -> Any:
    return fun(*tree.unflatten(in_tree, leaves))


def _per_output(columns: Sequence[Any], in_tree: tree.PyTreeDef, argnums: int | Sequence[int]) -> Any:
    """From one output tree per input leaf to one input tree per output leaf."""
    out_tree = tree.structure(columns[0])
    flat = [tree.leaves(c) for c in columns]
    pick = (lambda t: t[0]) if isinstance(argnums, int) else (lambda t: t)
    return tree.unflatten(out_tree, [pick(tree.unflatten(in_tree, column)) for column in zip(*flat)])


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
    allow_int: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of ``fun`` by reverse mode, one pass per output element: best for few outputs. Like ``jacfwd``."""

    @functools.wraps(fun, assigned=("__doc__", "__name__", "__module__"), updated=())
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        of_chosen, chosen = select_args("jacrev", fun, argnums, args, kwargs)
        in_leaves = tree.leaves(chosen)
        _check_inputs("jacrev", of_chosen, in_leaves, tree.structure((chosen, {})), allow_int, holomorphic)
        out, pull_back, *aux = vjp(of_chosen, *chosen, has_aux=has_aux)
        outs, out_tree = tree.flatten(out)
        avals = [aval_of(o) for o in outs]
        for a in avals:
            _check_output("jacrev", name_of(fun), a, holomorphic)
        rows = []
        for i, aval in enumerate(avals):
            found = vmap(lambda *cts: pull_back(tree.unflatten(out_tree, cts)))(*_basis(avals, i))
            full = tree.map(lambda g, a=aval: reshape(g, a.shape + aval_of_tangent(g).shape[1:]), found)
            rows.append(full[0] if isinstance(argnums, int) else full)
        result = tree.unflatten(out_tree, rows)
        return (result, aux[0]) if has_aux else result

    return jacobian


jacobian = jacrev


def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False
) -> Callable[..., Any]:
    """The matrix of second derivatives, forward over reverse. ``holomorphic`` as for ``jacfwd``."""
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)
