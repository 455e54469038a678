"""What the steps of random programs are. Operations keep magnitudes near 1, and so do their derivatives.

In templates ``m.t`` has the transformations, ``m.np`` and ``m.lax`` the modules of these names, ``w`` is a vector of
constants and ``a`` a matrix.
"""

from __future__ import annotations

from tests.compositions.program import Kind


def _plain(expression: str, operands: int = 1, **settings: tuple[object, ...]) -> Kind:
    return Kind("{out} = " + expression, operands, settings=settings)


_AXES = (0, 1)
SUM = _plain("{0} + 0.5 * {1}", 2)

OPERATIONS = (
    _plain("m.np.{function}({0})", function=("sin", "cos", "tanh", "arctan")),
    _plain("m.np.exp(-{0} * {0})"),
    _plain("m.np.log1p({0} * {0})"),
    _plain("m.np.sqrt({0} * {0} + 0.5)"),
    _plain("{0}**{power} * 0.3", power=(2, 3, 2.0, 3.0)),
    SUM,
    _plain("{0} - 0.5 * {1}", 2),
    _plain("{0} * {1}", 2),
    _plain("{0} * {1}", 2),
    _plain("{0} / (2.0 + m.np.cos({1}))", 2),
    _plain("a @ {0}"),
    _plain("m.np.dot({0}, {1}) * {0} * 0.3", 2),
    _plain("m.np.outer({0}, m.np.sin({1})) @ w", 2),
    _plain("m.np.cumsum({0}) * 0.5"),
    _plain("m.np.prod(m.np.cos({0})) * w"),
    _plain("{0} - m.np.mean({0})"),
    _plain("m.np.{function}({0}) * w", function=("max", "min", "sum")),
    _plain("m.np.sort({0})"),
    _plain("m.np.{function}({0}, {1})", 2, function=("maximum", "minimum")),
    _plain("m.np.where({0} > 0.1, m.np.sin({0}), {1})", 2),
    _plain("{0}[::-1]"),
    _plain("{0}[m.np.array([2, 0, 2])]"),
    _plain("m.np.asarray({0}).at[{place}].{function}({1}[0])", 2, place=(0, 2), function=("set", "add", "multiply")),
    _plain("m.np.concatenate([{0}[:1], {1}[1:]])", 2),
    _plain("{0}[m.np.argmax({1})] * w", 2),
    _plain("m.lax.dynamic_update_slice({0}, {1}[:2], (m.np.argmin({0}),))", 2),
    _plain("m.np.linalg.solve(a + 3.0 * m.np.diag(1.0 + {0} * {0}), {1})", 2),
    _plain("m.np.real(m.np.fft.ifft(m.np.fft.fft({0}) * m.np.fft.fft({1}))) * 0.3", 2),
    _plain("m.nn.{function}({0})", function=("softplus", "silu", "softmax", "gelu")),
    _plain("m.nn.logsumexp({0}) * w"),
    _plain("m.lax.stop_gradient({0}) * {1}", 2),
    _plain("m.lax.stop_gradient(m.np.sin({0})) + {0}"),
)  # fmt: skip

_JIT = Kind("{out} = m.t.jit({f})({0}, {1})", 2, ((2, 1),))
_JIT_TREE = Kind(
    """
    {out}_tree = m.t.jit(lambda d, n: {{"y": {f}(d["x"], d["z"])[0] * n, "z": {f}(d["z"], d["x"]), "e": ()}})
    {out} = {out}_tree({{"x": {0}, "z": ({1})}}, 2)
    {out} = {out}["y"] + {out}["z"][1]
    """,
    2, ((2, 2),),
)  # fmt: skip
_CHECKPOINT = Kind(
    "{out} = m.t.checkpoint({f}, policy={policy})({0}, {1})", 2, ((2, 1),),
    {"policy": ("None", "m.t.checkpoint_policies.dots_saveable", "m.t.checkpoint_policies.nothing_saveable")},
)  # fmt: skip
_VMAP = Kind(
    "{out} = m.t.vmap({f}, ({axis}, None), {out_axis})(m.np.stack([{0}, {1}], {axis}), {1}).sum({out_axis})",
    2, ((2, 1),), {"axis": _AXES, "out_axis": _AXES},
)  # fmt: skip
_VMAP_BOTH = Kind(
    "{out} = m.t.vmap({f})(m.np.stack([{0}, {1}]), m.np.stack([{1}, w]))[{row}]", 2, ((2, 1),), {"row": (0, 1)}
)
_VMAP_ELEMENTS = Kind("{out} = m.t.vmap(lambda e: {f}(e * {0})[{row}])({1})", 2, ((1, 1),), {"row": (0, 2)})
_COLLECTIVE = Kind(
    """
    {out}_all = lambda p, q: {f}(p, m.lax.{function}(q, "i"))
    {out} = m.t.vmap({out}_all, (0, 0), axis_name="i")(m.np.stack([{0}, {1}]), m.np.stack([{1}, {0}])).sum(0)
    """,
    2, ((2, 1),), {"function": ("psum", "pmean")},
)  # fmt: skip
_SCAN = Kind(
    """
    {out}, {out}_ys = m.lax.scan(lambda c, r: {f}(c, r), {0}, m.np.stack([{1}, {2}]), reverse={reverse})
    {out} = {out} + {out}_ys.sum(0)
    """,
    3, ((2, 2),), {"reverse": (False, True)},
)  # fmt: skip
_SCAN_TREE = Kind(
    """
    {out}_step = lambda c, i: ({{"n": c["n"] + 1, "c": {f}(c["c"], {1}), "k": c["k"]}}, {g}(c["k"]) * c["n"])
    {out}, {out}_ys = m.lax.scan({out}_step, {{"n": 1, "c": {0}, "k": {1}}}, m.np.arange({length}))
    {out} = {out}["c"] + {out}["k"] + {out}_ys.sum(0)
    """,
    2, ((2, 1), (1, 1)), {"length": (1, 2, 3)},
)  # fmt: skip
_SCAN_CLOSED = Kind(
    "{out} = m.lax.scan(lambda c, i: (c + i, {f}({0}) * (0.3 * c)), 1, m.np.arange({length}))[1].sum(0)",
    1, ((1, 1),), {"length": (1, 2, 3)},
)  # fmt: skip
_FORI = Kind(
    "{out} = m.lax.fori_loop(0, {length}, lambda i, c: {f}(c, {1}) / (1 + i), {0})", 2, ((2, 1),), {"length": (0, 1, 2)}
)
_WHILE = Kind(
    "{out} = m.lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, {f}(c[1], {1})), (0, {0}))[1]",
    2, ((2, 1),), reverse=False,
)  # fmt: skip
_WHILE_DATA = Kind(
    "{out} = m.lax.while_loop(lambda c: (c[0] < 3) & (c[0] * c[1][0] ** 2 < 0.3), "
    "lambda c: (c[0] + 1, {f}(c[1])), (0, {0}))[1]",
    1, ((1, 1),), reverse=False,
)  # fmt: skip
_MAP = Kind("{out} = m.lax.map(lambda p: {f}(p, {1}), m.np.stack([{0}, {1}])).sum(0)", 2, ((2, 1),))
_ASSOCIATIVE = Kind(
    """
    {out}_with = lambda p, q: (p[0] * q[0], q[0] * p[1] + q[1])
    {out} = m.lax.associative_scan({out}_with, ({f}({0}), {1}))[1]
    """,
    2, ((1, 1),),
)  # fmt: skip
_COND = Kind("{out} = m.lax.cond({2}[0] > 0.1, {f}, {g}, {0}, {1})", 3, ((2, 1), (2, 1)))
_COND_CLOSED = Kind("{out} = m.lax.cond({1}[1] < 0.2, lambda: {f}({0}), lambda: {g}({1}))", 2, ((1, 1), (1, 1)))
_COND_ROOT = Kind(
    "{out} = m.lax.cond({1}[1] < 3.0, {f}, lambda x: m.np.sqrt(x - x) + {1}, {0})", 2, ((1, 1),)
)  # the other slope is infinite
_SWITCH = Kind("{out} = m.lax.switch(m.np.argmax({1}), [{f}, {g}, lambda p, q: p * q], {0}, {1})", 2, ((2, 1), (2, 1)))
_SWITCH_MAPPED = Kind(
    "{out} = m.t.vmap(lambda i, p: m.lax.switch(i, [{f}, {g}], p))(m.np.array([1, 0]), m.np.stack([{0}, {1}])).sum(0)",
    2, ((1, 1), (1, 1)),
)  # fmt: skip
_CUSTOM_JVP = Kind(
    """
    {out}_fun = m.t.custom_jvp({f})
    {out}_fun.defjvp(lambda p, t: ({again}(*p), {g}(*p) * t[0] - 0.5 * t[1]))
    {out} = {out}_fun({0}, {1})
    """,
    2, ((2, 1), (2, 1)), {"again": ("{out}_fun", "{f}")}, closed=True,
)  # fmt: skip
_CUSTOM_JVP_INT = Kind(
    """
    {out}_fun = m.t.custom_jvp(lambda n, x: {f}(x) * n, nondiff_argnums=(0,))
    {out}_fun.defjvp(lambda n, p, t: ({out}_fun(n, *p), 2 * m.t.jvp({f}, p, t)[1] * n))
    {out} = {out}_fun(2, {0})
    """,
    1, ((1, 1),), order=1, closed=True, takes="forward",
)  # fmt: skip
_CUSTOM_VJP = Kind(
    """
    {out}_fun = m.t.custom_vjp({f})
    {out}_fun.defvjp(lambda p, q: ({again}(p, q), (p, {g}(q))), lambda kept, ct: (ct * kept[1], ct * m.np.sin(kept[0])))
    {out} = {out}_fun({0}, {1})
    """,
    2, ((2, 1), (1, 1)), {"again": ("{out}_fun", "{f}")}, closed=True, forward=False,
)  # fmt: skip
_CUSTOM_VJP_INT = Kind(
    """
    {out}_fun = m.t.custom_vjp(lambda x, n, d: ({f}(x) * n, n))
    {out}_fun.defvjp(
        lambda x, n, d: ({out}_fun(x, n, d), (x, n)),
        lambda kept, ct: (2 * m.t.vjp({f}, kept[0])[1](ct[0] * kept[1])[0], None, None),
    )
    {out} = {out}_fun({0}, 2, {{"x": {0}}})[0]
    """,
    1, ((1, 1),), order=1, closed=True, forward=False, takes="reverse",
)  # fmt: skip
_LINEAR_SOLVE = Kind(
    """
    {out}_s = 2.0 + m.np.sin({0})
    {out}_by = lambda matvec, b: b / {out}_s
    {out} = m.lax.custom_linear_solve(lambda v: v * {out}_s, {f}({1}), {out}_by, {out}_by)
    """,
    2, ((1, 1),),
)  # fmt: skip

_GRAD = Kind(
    "{out} = m.t.grad(lambda p, q: ({f}(p, q) * w).sum(), {place})({0}, {1})",
    2, ((2, 1),), {"place": (0, 1)}, order=1, takes="reverse",
)  # fmt: skip
_GRAD_TREE = Kind(
    """
    {out}_of = lambda d: (lambda y: (y.sum(), (y, d["n"])))({f}(d["x"], d["z"]))
    {out}_fun = m.t.value_and_grad({out}_of, has_aux=True, {more})
    ({out}_y, {out}_aux), {out} = {out}_fun({{"x": {0}, "z": {1}, "n": 1}})
    {out} = {out}["x"] - {out}["z"] + {out}_aux[0] * {out}_y
    """,
    2, ((2, 1),), {"more": ("allow_int=True",)}, order=1, takes="reverse",
)  # fmt: skip
_VJP = Kind(
    """
    {out}_y, {out}_back = m.t.vjp({f}, {0}, {1})
    {out} = {out}_y + {out}_back({2})[{place}]
    """,
    3, ((2, 1),), {"place": (0, 1)}, order=1, takes="reverse",
)  # fmt: skip
_JVP = Kind("{out} = m.t.jvp({f}, ({0}, {1}), ({1}, w))[{place}]", 2, ((2, 1),), {"place": (0, 1, 1)}, order=1,
            takes="forward")  # fmt: skip
_LINEARIZE = Kind(
    """
    {out}_y, {out}_linear = m.t.linearize({f}, {0}, {1})
    {out} = {out}_y * {out}_linear(w, {1})
    """,
    2, ((2, 1),), order=1, takes="forward",
)  # fmt: skip
_TRANSPOSE = Kind(
    """
    {out}_linear = m.t.linearize({f}, {0})[1]
    {out} = m.t.linear_transpose({out}_linear, {0})({1})[0]
    """,
    2, ((1, 1),), order=1, takes="both",
)  # fmt: skip
_HESSIAN = Kind("{out} = m.t.hessian(lambda p: {f}(p, {1}).sum())({0}) @ w", 2, ((2, 1),), order=2, takes="both")
_JACOBIAN = Kind(
    "{out} = m.t.{function}({f}, {place})({0}, {1}) @ w", 2, ((2, 1),),
    {"place": (0, 1), "function": ("jacfwd",)}, order=1, takes="forward",
)  # fmt: skip
_JACOBIAN_BACK = Kind(
    "{out} = m.t.jacrev({f}, {place})({0}, {1}) @ w", 2, ((2, 1),), {"place": (0, 1)}, order=1, takes="reverse"
)
_GRADS_OF_ROWS = Kind(
    "{out} = m.t.vmap(m.t.grad(lambda p: {f}(p, {1}).sum()))(m.np.stack([{0}, {1}])).sum(0)",
    2, ((2, 1),), order=1, takes="reverse",
)  # fmt: skip
_COMPILED_GRAD = Kind(
    "{out} = m.t.jit(m.t.grad(lambda p: {f}(p, {1}).sum()))({0})", 2, ((2, 1),), order=1, takes="reverse"
)

DERIVATIVES = (_GRAD, _GRAD, _GRAD_TREE, _VJP, _JVP, _LINEARIZE, _TRANSPOSE, _HESSIAN, _JACOBIAN, _JACOBIAN_BACK,
               _GRADS_OF_ROWS, _COMPILED_GRAD)  # fmt: skip
CALLS = (_JIT, _JIT_TREE, _CHECKPOINT, _VMAP, _VMAP_BOTH, _VMAP_ELEMENTS, _COLLECTIVE, _SCAN, _SCAN_TREE, _SCAN_CLOSED,
         _FORI, _WHILE, _WHILE_DATA, _MAP, _ASSOCIATIVE, _COND, _COND_CLOSED, _COND_ROOT, _SWITCH, _SWITCH_MAPPED,
         _CUSTOM_JVP, _CUSTOM_JVP_INT, _CUSTOM_VJP, _CUSTOM_VJP_INT, _LINEAR_SOLVE)  # fmt: skip
