# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalIterable=false, reportOptionalSubscript=false
# pyright: reportIndexIssue=false
"""``x[...]`` and ``x.at[...]``: generated indices against NumPy, out-of-bounds behaviour and modes against jax."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import anejax as aj
import anejax.numpy as anp
from anejax.errors import ConcretizationError, DtypeError, NonConcreteBooleanIndexError
from tests.answers import of_jax
from tests.numpy.compare import check, sample

SHAPES = [(5,), (3, 4), (2, 3, 4), (1, 3), (4, 0, 2), ()]
EXAMPLES = settings(max_examples=150, deadline=None)


@st.composite
def slices(draw, n):
    bound = st.none() | st.integers(-n - 2, n + 2)
    step = draw(st.none() | st.integers(-3, 3).filter(bool))
    return slice(draw(bound), draw(bound), step)


@st.composite
def integer_arrays(draw, n, shape):
    values = st.integers(-n, n - 1)
    count = int(np.prod(shape, dtype=int))
    host = np.array([draw(values) for _ in range(count)], draw(st.sampled_from([np.int32, np.int8]))).reshape(shape)
    return host


@st.composite
def indices(draw, shape):
    """An index of an array of ``shape`` that NumPy accepts."""
    entries, axis = [], 0
    advanced = draw(st.sampled_from([None, (), (2,), (2, 1), (3, 2), (0,)]))
    while axis < len(shape) and draw(st.integers(0, 9)) > 0:
        n = shape[axis]
        kinds = ["slice", "slice", "none"]
        if n:
            kinds += ["int"] + (["array", "array"] if advanced is not None else [])
        if advanced is None:
            kinds += ["mask"]
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            entries.append(None)
            continue
        if kind == "slice":
            entries.append(draw(slices(n)))
        elif kind == "int":
            entries.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            target = draw(st.sampled_from([advanced, tuple(1 for _ in advanced), advanced[1:]]))
            entries.append(draw(integer_arrays(n, target)))
        else:
            covered = draw(st.integers(1, len(shape) - axis))
            mask = np.array(draw(st.lists(st.booleans(), min_size=1, max_size=4)))
            entries.append(np.resize(mask, shape[axis : axis + covered]))
            axis += covered - 1
            advanced = (int(entries[-1].sum()),)  # further arrays must go with the mask's
            if len([e for e in entries if isinstance(e, np.ndarray)]):
                advanced = None if not draw(st.booleans()) else advanced
                entries += [slice(None)] * (len(shape) - axis - 1)
                axis = len(shape) - 1
        axis += 1
    if draw(st.booleans()):
        entries.insert(draw(st.integers(0, len(entries))), Ellipsis)
        if len(entries) > 1 and any(e is Ellipsis for e in entries[:-1]):
            # what stands behind an ellipsis indexes the last axes: keep it only when it covers all axes
            entries = entries if axis == len(shape) else [e for e in entries if e is not Ellipsis]
    return tuple(entries)


@st.composite
def indexed(draw):
    shape = draw(st.sampled_from(SHAPES))
    index = draw(indices(shape))
    return sample(shape, "int32", low=-50, high=50), index if len(index) != 1 or draw(st.booleans()) else index[0]


@EXAMPLES
@given(indexed())
def test_getitem_as_numpy(case):
    x, index = case
    expected = x[index]
    got = anp.asarray(x)[index]
    assert got.shape == expected.shape
    np.testing.assert_array_equal(got, expected)


@EXAMPLES
@given(indexed())
def test_getitem_traced_indices(case):
    """Integer arrays and integers as tracers."""
    x, index = case
    entries = index if isinstance(index, tuple) else (index,)
    dynamic = [e for e in entries if isinstance(e, (int, np.ndarray)) and np.asarray(e).dtype != bool]

    def f(x, dynamic):
        found = iter(dynamic)
        known = lambda e: not (isinstance(e, (int, np.ndarray)) and np.asarray(e).dtype != bool)  # noqa: E731
        return x[tuple(e if known(e) else next(found) for e in entries)]

    aval = aj.eval_shape(f, anp.asarray(x), [anp.asarray(d) for d in dynamic])
    assert aval.shape == x[index].shape


OPERATIONS = {
    "set": lambda x, i, v: x.__setitem__(i, v),
    "add": lambda x, i, v: np.add.at(x, i, v),
    "multiply": lambda x, i, v: np.multiply.at(x, i, v),
    "min": lambda x, i, v: np.minimum.at(x, i, v),
    "max": lambda x, i, v: np.maximum.at(x, i, v),
    "subtract": lambda x, i, v: np.subtract.at(x, i, v),
}


@EXAMPLES
@given(indexed(), st.sampled_from(sorted(OPERATIONS)), st.booleans())
def test_at_as_numpy(case, name, scalar):
    x, index = case
    part = x[index]
    values = np.int32(3) if scalar or name == "set" else sample(part.shape, "int32", seed=1)
    expected = x.copy()
    OPERATIONS[name](expected, index, values)
    got = getattr(anp.asarray(x).at[index], name)(values)
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, expected)


@EXAMPLES
@given(indexed())
def test_set_get_round_trip(case):
    """Writing distinct values and reading them back, where no element is indexed twice."""
    x, index = case
    places = np.arange(x.size).reshape(x.shape)[index]
    if len(np.unique(places)) < places.size:
        return
    values = sample(places.shape, "int32", seed=2)
    updated = anp.asarray(x).at[index].set(values)
    np.testing.assert_array_equal(updated.at[index].get(), values)
    kept = np.ones(x.size, bool)
    kept[places.ravel()] = False
    np.testing.assert_array_equal(np.asarray(updated).ravel()[kept], x.ravel()[kept])


OUTSIDE = [7, -9, np.array([0, 5, -6, 2]), np.array([[4], [-5]]), (slice(1, 3), np.array([9, 0, -9]))]


@pytest.mark.parametrize("mode", [None, "clip", "fill", "drop", "promise_in_bounds"])
@pytest.mark.parametrize("which", range(len(OUTSIDE)))
def test_out_of_bounds_as_jax(which, mode):
    index = OUTSIDE[which]
    shape = (4, 4) if isinstance(index, tuple) else (4,)
    for dtype in ("float32", "int32"):
        x = sample(shape, dtype)
        if mode is None:
            check(lambda m, x: m.asarray(x)[index], x)
        if mode != "promise_in_bounds":
            check(lambda m, x: x.at[index].get(mode=mode), x)
            check(lambda m, x: x.at[index].set(1, mode=mode), x)
            check(lambda m, x: x.at[index].add(1, mode=mode), x)
    if mode == "fill":
        check(lambda m, x: x.at[index].get(mode=mode, fill_value=-3), x)


def test_updates_as_jax():
    x = np.abs(sample((4, 3)))
    i = np.array([0, 2, 2, 1])
    for name in ("divide", "power", "multiply", "min", "max"):
        check(lambda m, x, i, name=name: getattr(x.at[i], name)(2.5), x, i, ulps=8)
    check(lambda m, x: x.at[1:3].apply(m.sqrt), x)
    check(lambda m, x: x.at[::2, 1].divide(3), x)
    check(lambda m, x, i: x.at[i].divide(2), np.arange(4), i)
    check(lambda m, x: x.at[0].set(m.arange(3.0)), x)
    check(lambda m, x: x.at[1:].set(m.ones((1, 3, 3))), x)
    check(lambda m, x: x.at[...].set(2), x)
    check(lambda m, x: x.at[x > 1].set(0), x)
    check(lambda m, x: x.at[0].set(m.ones(4)), x)


@pytest.mark.filterwarnings("ignore:.*incompatible types.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:.*does not fit.*:FutureWarning")
def test_dtypes_of_updates():
    check(lambda m, x: x.at[1].add(1.7), np.arange(4))
    check(lambda m, x: x.at[1].set(m.float32(2.7)), np.arange(4))
    check(lambda m, x: x.at[1].mul(m.arange(4)[2]), sample((4,), "float16"))


def test_narrow_update_warns():
    with pytest.warns(FutureWarning, match="does not fit"):
        anp.arange(4).at[0].set(anp.float32(1.5))


def test_static_indices_need_no_gather():
    x = anp.ones((6, 7, 8))
    graph = str(aj.make_jaxpr(lambda x: x[1, ::-2, None, ..., 3:5])(x))
    assert "gather" not in graph, graph
    graph = str(aj.make_jaxpr(lambda x: x.at[1:3, 2].set(0.0).at[:, ::2].add(1.0))(x))
    assert "scatter" not in graph, graph
    graph = str(aj.make_jaxpr(lambda x, i: x[i])(x, 3))
    assert "dynamic_slice" in graph and "gather" not in graph, graph


def test_gradients_through_indexing():
    x, i = sample((4, 3)), np.array([0, 2, 2])
    cases = [
        lambda m, x: (x[i] ** 2).sum(),
        lambda m, x: (x[::-1, 1:] * 3).sum() + x[2, 0] ** 2,
        lambda m, x: (x.at[i].add(x[:3]) ** 2).sum(),
        lambda m, x: (x.at[1:3].set(x[:2] * 2) ** 2).sum(),
        lambda m, x: (x.at[i, 0].mul(2.0) ** 2).sum(),
        lambda m, x: (x[x > 0] ** 2).sum(),
        lambda m, x: (m.take_along_axis(x, m.argsort(x, axis=0), axis=0) ** 3)[1].sum(),
        lambda m, x: (m.sort(x, axis=0)[1] ** 2).sum(),
    ]
    for f in cases:
        ours = aj.grad(lambda x, f=f: f(anp, x))(anp.asarray(x))
        (theirs,) = of_jax(lambda x, f: jax.grad(lambda x: f(jnp, x))(jnp.asarray(x)), x, f)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_vmap_of_indexing():
    x, i = anp.asarray(sample((4, 3))), anp.asarray([2, 0, 3, 1])
    rows = aj.vmap(lambda row, j: row[j % 3])(x, i)
    np.testing.assert_array_equal(rows, [np.asarray(x)[k, int(i[k]) % 3] for k in range(4)])
    out = aj.vmap(lambda j: anp.zeros(4).at[j].set(1.0))(i)
    np.testing.assert_array_equal(out, np.eye(4)[np.asarray(i)])


def test_traced_masks():
    x = anp.asarray(sample((5,)))
    ours = aj.jit(lambda x: x.at[x > 0].set(0.0).at[x < -1].mul(2.0))(x)
    y = np.asarray(x).copy()
    low = y < -1
    y[y > 0] = 0
    y[low] *= 2
    np.testing.assert_array_equal(ours, y)
    with pytest.raises(ConcretizationError, match="where"):
        aj.jit(lambda x: x[x > 0])(x)


def test_nonzero_with_size():
    x = np.array([[0, 3, 0], [5, 0, 6]])
    for size in (2, 3, 5):
        check(lambda m, x, size=size: m.nonzero(x, size=size), x)
        check(lambda m, x, size=size: m.nonzero(x, size=size, fill_value=-1), x)
        check(lambda m, x, size=size: m.argwhere(x, size=size, fill_value=7), x)
        assert aj.eval_shape(lambda x, size=size: anp.flatnonzero(x, size=size), anp.asarray(x)).shape == (size,)
    check(lambda m, x: m.nonzero(x), x)
    check(lambda m, x: m.where(x), x)
    check(lambda m, x: m.where(x, size=4), x)


def test_errors():
    x = anp.ones((3, 4))
    with pytest.raises(IndexError, match="too many"):
        x[0, 0, 0]
    with pytest.raises(IndexError, match="ellipsis"):
        x[..., ...]
    with pytest.raises(DtypeError, match="list"):
        x[[0, 1]]
    with pytest.raises(DtypeError, match="integers"):
        x[1.5]
    with pytest.raises(DtypeError, match="float32"):
        x[anp.ones(2)]
    with pytest.raises(IndexError, match="mask"):
        x[anp.ones(2, bool)]
    with pytest.raises(TypeError, match=r"x\.at\[i\]\.set"):
        x[0] = 1
    with pytest.raises(IndexError, match="no elements"):
        anp.ones((0,))[0]
    with pytest.raises(ValueError, match="mode"):
        x.at[0].get(mode="nothing")
    with pytest.raises(TypeError, match="unexpected"):
        x.at[0].set(1, color=2)
    with pytest.raises(IndexError, match=r"\[getitem\] the bounds of a slice .*Use lax.dynamic_slice_in_dim"):
        aj.jit(lambda x, n: x[:n])(x, 2)
    with pytest.raises(NonConcreteBooleanIndexError, match="mask") as err:
        aj.jit(lambda x: x[:, x[0] > 0])(x)
    assert isinstance(err.value, IndexError) and isinstance(err.value, ConcretizationError)


LISTS = [([0, 2],), ([0, 2], 1), ([0, 2], [1, 3]), (slice(None), [0, 0]), (..., [True, False, True, False]), ([],)]


@pytest.mark.parametrize("index", LISTS, ids=str)
def test_lists_inside_a_tuple_are_arrays(index):
    x = sample((3, 4))
    check(lambda m, x: x[index], x)
    check(lambda m, x: x.at[index].add(1.5), x)


def test_updates_take_lists():
    x = sample((3, 4))
    check(lambda m, x: [x.at[0, :3].set([1, 2, 3]), x.at[:, 0].add((0.5, 1.5, 2.5)), x.at[0].min([[1, 2, 3, 4]])], x)
    check(lambda m, x: [x.at[0].set([1, None, 3, 4])], x)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint32", "float16", "bfloat16", "float32", "complex64"])
def test_updates_that_do_not_fit_warn_as_jax(dtype):
    for value in (True, 7, 2.5, 1j, np.float32(1.5), np.int16(3), jnp.asarray(2), jnp.asarray(2.5)):
        warned = []
        for m in (jnp, anp):
            given = m.asarray(float(value)) if isinstance(value, jax.Array) and value.dtype.kind == "f" else value
            given = m.asarray(int(value)) if isinstance(value, jax.Array) and value.dtype.kind == "i" else given
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                m.ones(3, dtype).at[0].set(given)
            found = [w for w in seen if w.category is FutureWarning]
            warned.append(bool(found))
            assert m is jnp or not found or found[0].filename == __file__
        assert warned[0] == warned[1], f"{value!r}: jax {warned[0]}"


def test_gradients_of_reads_outside_are_zero():
    """As in jax: reads are clamped and updates dropped, the ones that gradients make included."""
    x, i = sample((3, 4)), np.int32([3, -5, 1])
    for key in ((i,), (slice(None), i), (i, 0)):
        ours, theirs = (
            g(
                lambda v, m=m, key=key: (
                    v[tuple(m.asarray(k) if isinstance(k, np.ndarray) else k for k in key)] ** 2
                ).sum()
            )(x)
            for g, m in ((aj.grad, anp), (jax.grad, jnp))
        )
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("index", [-1, np.array([-1, 0]), (0, np.array([2, -1]))], ids=["integer", "array", "second"])
@pytest.mark.parametrize("jit", [lambda f: f, aj.jit], ids=["eager", "jit"])
def test_negative_integers_lie_outside_where_they_do_not_wrap(index, jit):
    x = anp.arange(12.0).reshape(3, 4) if isinstance(index, tuple) else anp.arange(1.0, 4.0)
    inside = np.zeros(x.shape, bool)
    inside[(0, 2) if isinstance(index, tuple) else [] if isinstance(index, int) else 0] = True
    options = {"wrap_negative_indices": False}
    for method, expected in (("set", 7.0), ("add", np.asarray(x) + 7), ("multiply", np.asarray(x) * 7)):
        found = jit(lambda x: getattr(x.at[index], method)(7.0, **options))(x)  # noqa: B023
        np.testing.assert_array_equal(found, np.where(inside, expected, x))
    found = jit(lambda x: x.at[index].apply(lambda v: -v, **options))(x)
    np.testing.assert_array_equal(found, np.where(inside, -np.asarray(x), x))
    read = np.asarray(jit(lambda x: x.at[index].get(mode="fill", fill_value=-5.0, **options))(x))
    wrapped = np.asarray(x)[index]
    assert read.shape == wrapped.shape
    np.testing.assert_array_equal(
        read, np.where(np.asarray(index[-1] if isinstance(index, tuple) else index) < 0, -5, wrapped)
    )
