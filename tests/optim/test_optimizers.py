"""Every optimizer beside optax's, step by step, on the same gradients.

Distances are in eps of float32 times max(|value|, s), where s is the largest magnitude in the array: XLA contracts
products and sums where we round twice, so an entry that cancels can be judged only against what was subtracted.
"""
# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false, reportOperatorIssue=false

import functools
import warnings

import jax
import numpy as np
import optax
import pytest

import anejax as aj
import anejax.numpy as jnp
from anejax import optim, tree
from anejax.errors import TreeError
from tests.answers import of_jax
from tests.random.reference import distance

STEPS = 8


def params():
    rng = np.random.default_rng(0)
    return {
        "w": rng.normal(size=(5, 3)).astype(np.float32),
        "b": np.zeros(3, np.float32),
        "deep": [rng.normal(size=(4,)).astype(np.float32) * 10, np.float32(0.5) * np.ones((), np.float32)],
    }


def gradients(step):
    rng = np.random.default_rng(100 + step)
    return tree.map(lambda p: np.asarray(rng.normal(size=p.shape) * 10.0 ** rng.integers(-3, 2), np.float32), params())


def assert_close(got, expected, limit, floor=1e-30):
    got, expected = tree.leaves(got), jax.tree.leaves(expected)
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        a, b = np.asarray(a), np.asarray(b)
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        if a.dtype.kind in "iub":
            assert np.array_equal(a, b)
        else:
            scale = max(float(np.max(np.abs(b), initial=0.0)), floor)
            assert distance(a, b, scale) <= limit


def mask_of(p):
    return {"w": True, "b": False, "deep": [True, False]}


def schedule(library):
    return library.warmup_cosine_decay_schedule(0.0, 0.1, 3, 10, 0.01)


OPTIMIZERS = {
    "sgd": lambda o: o.sgd(0.1),
    "sgd momentum": lambda o: o.sgd(0.1, 0.9),
    "sgd nesterov": lambda o: o.sgd(0.1, 0.9, nesterov=True),
    "sgd schedule": lambda o: o.sgd(schedule(o), 0.9),
    "sgd bfloat16 accumulator": lambda o: o.sgd(0.1, 0.9, accumulator_dtype="bfloat16"),
    "adam": lambda o: o.adam(0.01),
    "adam nesterov": lambda o: o.adam(0.01, 0.8, 0.95, nesterov=True),
    "adam schedule": lambda o: o.adam(schedule(o), eps_root=1e-6),
    "adam bfloat16 mu": lambda o: o.adam(0.01, mu_dtype="bfloat16"),
    "adamw": lambda o: o.adamw(0.01, weight_decay=0.1),
    "adamw mask": lambda o: o.adamw(schedule(o), weight_decay=0.1, mask=mask_of),
    "adamw mask tree": lambda o: o.adamw(0.01, weight_decay=0.1, mask=mask_of(None)),
    "adamw decay schedule": lambda o: o.adamw(0.01, weight_decay=schedule(o)),
    "nadam": lambda o: o.nadam(0.01),
    "nadamw": lambda o: o.nadamw(0.01),
    "adamax": lambda o: o.adamax(0.01),
    "adagrad": lambda o: o.adagrad(0.1),
    "rmsprop": lambda o: o.rmsprop(0.01),
    "rmsprop all": lambda o: o.rmsprop(0.01, 0.8, momentum=0.9, nesterov=True, bias_correction=True, eps_in_sqrt=False),
    "rmsprop centered": lambda o: o.rmsprop(0.01, centered=True, initial_scale=1.0),
    "lion": lambda o: o.lion(0.01, weight_decay=0.1, mask=mask_of),
    "lamb": lambda o: o.lamb(0.01, weight_decay=0.1),
    "sign_sgd": lambda o: o.sign_sgd(0.01),
    "clipped": lambda o: o.chain(o.clip_by_global_norm(1.0), o.add_decayed_weights(0.01), o.sgd(0.1, 0.9)),
    "clipped each": lambda o: o.chain(o.clip(0.5), o.clip_by_block_rms(0.1), o.scale(-0.1)),
    "ema": lambda o: o.chain(o.ema(0.9), o.scale_by_learning_rate(0.1)),
    "amsgrad": lambda o: o.amsgrad(0.01),
    "amsgrad biased": lambda o: o.amsgrad(0.01, mu_dtype="float32", bias_correction_mu=False, bias_correction_nu=False),
    "adabelief": lambda o: o.adabelief(0.01),
    "adabelief nesterov": lambda o: o.adabelief(0.01, nesterov=True),
    "yogi": lambda o: o.yogi(0.01),
    "radam": lambda o: o.radam(0.01, b2=0.9),  # its first steps take 1997 from 1999 at b2=0.999
    "radam nesterov": lambda o: o.radam(0.01, b2=0.9, nesterov=True),
    "adadelta": lambda o: o.adadelta(0.5, weight_decay=0.1),
    "centralized": lambda o: o.chain(o.centralize(), o.sgd(0.1)),
    "multi steps": lambda o: o.MultiSteps(o.adamw(0.01), 3).gradient_transformation(),
    "multi steps sum": lambda o: o.MultiSteps(
        o.sgd(schedule(o), 0.9), 2, use_grad_mean=False
    ).gradient_transformation(),
    "multi steps skipping": lambda o: o.MultiSteps(
        o.adam(0.01), 2, should_skip_update_fn=functools.partial(o.skip_large_updates, max_squared_norm=50.0)
    ).gradient_transformation(),
    "injected": lambda o: o.inject_hyperparams(o.adamw)(0.01, b1=0.8, weight_decay=0.1),
    "finite only": lambda o: o.apply_if_finite(o.adam(0.01), 2),
    "partition": lambda o: o.partition({"x": o.adam(0.01), "y": o.sgd(0.1, 0.9)}, {"w": "x", "b": "y", "deep": "x"}),
    "partition by function": lambda o: o.multi_transform(
        {"x": o.adamw(0.01), "y": o.set_to_zero()}, lambda p: {"w": "x", "b": "y", "deep": ["y", "x"]}
    ),
    "adafactor": lambda o: o.adafactor(
        0.1, min_dim_size_to_factor=2, momentum=0.9, weight_decay_rate=0.01, weight_decay_mask=mask_of
    ),
    "adafactor whole": lambda o: o.adafactor(clipping_threshold=None, multiply_by_parameter_scale=False),
    "adamaxw": lambda o: o.adamaxw(0.01, weight_decay=0.1, mask=mask_of),
    "adan": lambda o: o.adan(0.01, weight_decay=0.1, mask=mask_of),
    "fromage": lambda o: o.fromage(0.1),
    "fromage schedule": lambda o: o.fromage(schedule(o)),
    "lars": lambda o: o.lars(0.1, 0.01, mask_of, trust_ratio_mask=mask_of, nesterov=True),
    "novograd": lambda o: o.novograd(0.1, weight_decay=0.01),
    "optimistic descent": lambda o: o.optimistic_gradient_descent(0.1, 0.9, 0.5),
    "optimistic_adam_v2": lambda o: o.optimistic_adam_v2(schedule(o), alpha=0.9, beta=0.5),
    "rprop": lambda o: o.rprop(0.1),
    "signum": lambda o: o.signum(schedule(o), accumulator_dtype="float32"),
    "sm3": lambda o: o.masked(o.sm3(0.1), {"w": True, "b": True, "deep": [True, False]}),
    "sm3 decayed": lambda o: o.masked(o.scale_by_sm3(0.8, 0.9), {"w": True, "b": True, "deep": [True, False]}),
    "by parameters": lambda o: o.chain(
        o.scale_by_param_block_norm(0.1), o.scale_by_param_block_rms(0.1), o.normalize_by_update_norm(0.5), o.scale(-1)
    ),
    "adaptive clip": lambda o: o.chain(o.adaptive_grad_clip(0.1), o.sgd(0.1)),
    "over gradients": lambda o: o.chain(o.scale_by_distance_over_gradients(), o.scale(-1)),
    "apply_every": lambda o: o.chain(o.sgd(0.1), o.apply_every(3)),
    "conditionally": lambda o: o.chain(
        o.conditionally_transform(o.clip(0.1), lambda step: step % 2 == 0),
        o.conditionally_mask(o.adam(0.01), lambda step: step % 3 != 1),
    ),
    "monitored": lambda o: o.chain(
        o.snapshot("sum", lambda g: g["w"].sum()), o.flatten(o.adamw(0.01)), o.keep_params_nonnegative()
    ),
    "selective": lambda o: o.selective_transform(
        o.adam(0.01), freeze_mask={"w": True, "b": False, "deep": [False, True]}
    ),
    "named chain": lambda o: o.named_chain(("a", o.clip_by_global_norm(1.0)), ("b", o.adam(0.01))),
    "frozen": lambda o: o.chain(o.sgd(0.1, 0.9), o.freeze({"w": True, "b": False, "deep": [False, True]})),
}
LIMITS = {
    "fromage schedule": 16, "optimistic_adam_v2": 64,  # its step is the difference of two that are nearly equal
    "rmsprop centered": 64, "lamb": 16,  # both divide by small differences or norms
    "sgd bfloat16 accumulator": 2**17, "adam bfloat16 mu": 2**17,  # jax.jit skips roundings to bfloat16
}  # fmt: skip


def of_optax(function, *args):
    """The leaves of what ``function`` gives for optax and ``args``."""
    return of_jax(lambda version, *args: function(optax, *args), optax.__version__, *args)


def run(library, make, jitted):
    """The first state of an optimizer, then the updates and the parameters of each step, and the last state."""
    optimizer = make(library)
    update = (aj if library is optim else jax).jit(optimizer.update) if jitted else optimizer.update
    p = tree.map(np.asarray, params())  # optax refuses NumPy's scalars here and there
    state = optimizer.init(p)
    made = [state]
    for step in range(STEPS):
        updates, state = update(gradients(step), state, p)
        assert tree.structure(updates) == tree.structure(p)
        p = library.apply_updates(p, updates)
        made += [updates, p]
    return [*made, state]


@pytest.mark.parametrize("jitted", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_of_optax(name, jitted):
    limit = LIMITS.get(name, 8) if jitted or "bfloat16" not in name else 8
    first, *steps, last = run(optim, OPTIMIZERS[name], jitted)
    theirs = iter(of_optax(run, OPTIMIZERS[name], jitted))

    def compare(got, limit, **floor):
        assert_close(got, [next(theirs) for _ in tree.leaves(got)], limit, **floor)

    compare(first, 1 if name == "over gradients" else 0)
    for updates, p in zip(steps[::2], steps[1::2]):
        compare(updates, limit)
        compare(p, 2 * limit, floor=0.5)
    compare(last, 8 * limit)
    assert not [*theirs]


def test_one_jitted_step_does_everything_and_compiles_once():
    opt = optim.adamw(schedule(optim), weight_decay=0.01)
    traced = []

    @aj.jit
    def step(p, state, x):
        traced.append(1)
        loss, grads = aj.value_and_grad(lambda p: jnp.mean((x @ p["w"] + p["b"] - 1.0) ** 2))(p)
        updates, state = opt.update(grads, state, p)
        return optim.apply_updates(p, updates), state, loss

    p = {"w": params()["w"], "b": params()["b"]}
    state, x = opt.init(p), np.random.default_rng(1).normal(size=(16, 5)).astype(np.float32)
    losses = []
    for _ in range(30):
        p, state, loss = step(p, state, x)
        losses.append(float(loss))
    assert losses[-1] < 0.6 * losses[0]
    assert len(traced) == 1


def test_counts_stop_at_the_largest_integer():
    top = np.int32(2**31 - 1)
    assert int(optim.safe_increment(top)) == top
    assert int(optim.safe_increment(np.int32(5))) == 6
    assert optim.safe_increment(np.int32(5)).dtype == np.int32
    _, state = optim.scale_by_schedule(lambda n: 1.0).update({}, optim.ScaleByScheduleState(top), None)
    assert int(state.count) == top


def test_apply_updates_keeps_the_dtype_of_the_parameters():
    p = {"a": jnp.ones(2, jnp.bfloat16), "b": None}
    out = optim.apply_updates(p, {"a": jnp.full(2, 0.25, jnp.float32), "b": None})
    assert out["a"].dtype == jnp.bfloat16 and out["b"] is None
    assert np.array_equal(np.asarray(out["a"], np.float32), [1.25, 1.25])


def test_global_norm_and_zero_nans_and_stateless():
    assert distance(optim.global_norm(gradients(0)), optax.tree.norm(gradients(0))) <= 2
    bad = {"a": np.float32([1, np.nan]), "b": np.float32([2.0])}
    clean, state = optim.zero_nans().update(bad, optim.zero_nans().init(bad))
    assert np.asarray(clean["a"]).tolist() == [1.0, 0.0] and bool(state.found_nan["a"]) and not state.found_nan["b"]
    double = optim.stateless(lambda g, p: tree.map(lambda v: 2 * v, g))
    assert double.update({"a": 3.0}, double.init({}))[0] == {"a": 6.0}
    assert np.array_equal(optim.set_to_zero().update(bad, ())[0]["a"], [0.0, 0.0])


def test_injected_values_may_be_changed_and_schedules_are_followed():
    def seen(o):
        opt = o.inject_hyperparams(o.sgd)(learning_rate=0.5, momentum=o.linear_schedule(0.0, 1.0, 4))
        state, update = opt.init({"w": np.ones(2, np.float32)}), (aj if o is optim else jax).jit(opt.update)
        for i in range(4):
            if i == 2:
                state.hyperparams["learning_rate"] = np.float32(0.25)
                state.hyperparams["momentum"] = np.float32(100.0)
            updates, state = update({"w": np.ones(2, np.float32)}, state)
            yield from (float(updates["w"][0]), float(state.hyperparams["momentum"]))

    assert [*seen(optim)] == pytest.approx(of_optax(lambda o: [*seen(o)]))


@pytest.mark.parametrize("reset", [False, True])
def test_lookahead_is_that_of_optax(reset):
    def last(o):
        opt = o.lookahead(o.adam(0.1), 3, 0.5, reset)
        p = o.LookaheadParams.init_synced(params())
        state = opt.init(p)
        for step in range(STEPS):
            updates, state = opt.update(gradients(step), state, p)
            p = o.apply_updates(p, updates)
        return p, state

    (p, state), theirs = last(optim), of_optax(last)
    count = len(tree.leaves(p))
    assert_close(p, theirs[:count], 16, floor=0.5)
    assert_close(state, theirs[count:], 64)


def test_gradients_that_are_not_finite_are_counted_and_left_out():
    bad = tree.map(lambda g: g * np.float32("nan"), gradients(0))

    def seen(o, bad):
        opt = o.apply_if_finite(o.adam(0.1), 2)
        state = opt.init(params())
        for g in (gradients(0), bad, bad, gradients(1), bad, bad, bad):
            updates, state = opt.update(g, state, params())
            facts = (state.notfinite_count, state.last_finite, state.total_notfinite, np.isnan(updates["w"]).all())
            yield from (int(f) for f in facts)

    ours = [*seen(optim, bad)]
    assert ours == of_optax(lambda o, bad: [*seen(o, bad)], bad) and ours[-4:] == [3, 0, 5, 1]


def test_multi_steps_skip_what_is_not_finite():
    opt = optim.MultiSteps(optim.sgd(0.1), 2, should_skip_update_fn=optim.skip_not_finite)
    state = opt.init(params())
    bad = tree.map(lambda g: g * np.float32("inf"), gradients(0))
    for g, mini_step in ((gradients(0), 1), (bad, 1), (gradients(1), 0)):
        updates, state = opt.update(g, state, params())
        assert int(state.mini_step) == mini_step
    assert int(state.gradient_step) == 1 and not bool(state.skip_state["should_skip"])
    expected = tree.map(lambda a, b: -0.1 * (a + (b - a) / 2), gradients(0), gradients(1))
    assert_close(updates, expected, 4)


def test_moving_averages_of_parameters():
    new, old = gradients(0), gradients(1)
    expected = of_optax(lambda o, new, old: o.incremental_update(new, old, 0.1), new, old)
    assert_close(optim.incremental_update(new, old, 0.1), expected, 2)
    for step in (2, 3):
        expected = of_optax(lambda o, new, old, step: o.periodic_update(new, old, step, 3), new, old, step)
        assert_close(optim.periodic_update(new, old, step, 3), expected, 0)


def test_noise_is_that_of_optax():
    for make in (lambda o: o.noisy_sgd(0.1, key=3), lambda o: o.add_noise(0.5, 0.3, seed=4)):
        expected = of_optax(lambda o, make=make: [*noisy(o, make)])
        assert_close([*noisy(optim, make)], expected, 64, floor=0.1)
    with pytest.raises(ValueError, match="key or seed, got both"):
        optim.add_noise(1.0, 1.0, 1, seed=1)


def noisy(o, make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        opt = make(o)
    state = opt.init(params())
    for step in range(3):
        updates, state = opt.update(gradients(step), state)
        yield updates


def test_sm3_takes_numbers():
    opt = optim.sm3(0.1)
    assert float(opt.update(np.float32(2.0), opt.init(np.float32(1.0)))[0]) == pytest.approx(-0.01)


def test_polyak_takes_the_loss_through_every_wrapper():
    def wrapped(o):
        inner = o.masked(o.partition({"x": o.chain(o.clip(5.0), o.polyak_sgd(variant="sps+"))}, "x"), True)
        inner = o.named_chain(("a", o.apply_if_finite(inner, 2)), ("b", o.flatten(o.identity())))
        inner = o.conditionally_transform(inner, lambda step: step < 2)
        inner = o.inject_hyperparams(lambda scale, inner=inner: o.chain(inner, o.scale(scale)))(0.5)
        opt, p = o.MultiSteps(inner, 2), params()
        state = opt.init(p)
        for step in range(4):
            updates, state = opt.update(gradients(step), state, p, value=np.float32(step + 0.5))
            yield updates

    assert_close([*wrapped(optim)], of_optax(lambda o: [*wrapped(o)]), 8)
    with pytest.raises(ValueError, match="sps or sps"):
        optim.polyak_sgd(variant="other")


def test_monitored_measures_are_those_of_optax():
    def seen(o):
        size = lambda updates: updates["w"].sum()  # noqa: E731
        opt = o.chain(o.monitor({"sum": size, "mean": o.measure_with_ema(size, 0.9)}), o.sgd(0.1))
        state = opt.init(params())
        for step in range(3):
            _, state = opt.update(gradients(step), state, params())
        return state[0].measurements

    assert_close(seen(optim), of_optax(seen), 8)


def test_state_is_mapped_where_it_is_like_the_parameters():
    def mapped(o):
        opt = o.chain(o.masked(o.adam(0.1), mask_of(None)), o.partition({"x": o.sgd(0.1, 0.9)}, "x"), o.ema(0.5))
        more = (lambda m, p: m + p), opt.init(params()), params()
        return o.tree_map_params(opt, *more, transform_non_params=lambda n: n - 1, is_leaf=lambda v: v == ())

    hidden = lambda o: o.tree_map_params(o.sgd(0.1, 0.9), lambda m: m + 1, o.sgd(0.1, 0.9).init(params()))  # noqa: E731
    assert_close(hidden(optim), of_optax(hidden), 0)


def test_examples_are_clipped_as_by_optax():
    each = tree.map(lambda *leaves: np.stack(leaves), *(gradients(i) for i in range(3)))
    for call in (
        lambda o, g: o.per_example_global_norm_clip(g, 0.5),
        lambda o, g: o.per_example_layer_norm_clip(g, 0.5),
        lambda o, g: o.per_example_layer_norm_clip(g, 5.0, uniform=False),
        lambda o, g: o.transforms.unitwise_norm(g["w"]),
        lambda o, g: o.transforms.unitwise_norm(g["deep"][0], axis=0),
    ):
        assert_close(call(optim, each), of_optax(call, each), 8)


def test_iterations_on_matrices_are_those_of_optax():
    rng = np.random.default_rng(0)
    half, right = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
    square = half.T @ half
    for call in (
        lambda o, m: o.power_iteration(m)[0],
        lambda o, m: o.power_iteration(lambda v: {"x": m @ v["x"]}, v0={"x": np.ones(4, np.float32)}),
        lambda o, m: [o.matrix_inverse_pth_root(m, p)[0] for p in (1, 2, 4)],
        lambda o, m: o.matrix_inverse_pth_root(m[:1, :1], 2)[0],
        lambda o, m: [o.nnls(half, right, 50), o.nnls(half, right[:, 0], 5, L=30.0)],
    ):
        assert_close(call(optim, square), of_optax(call, square), 2000, floor=0.1)
    roots = optim.matrix_inverse_pth_root(square, 2)[0]
    np.testing.assert_allclose(np.asarray(roots @ square @ roots), np.eye(4), atol=1e-3)


def test_helpers_are_those_of_optax():
    def seen(o, grad):
        g, m = gradients(0), gradients(1)
        dist = o.multi_normal(np.float32([1.0, 2.0]), np.float32([0.5, -0.5]))
        return [
            o.update_moment(g, m, 0.9, 3), o.update_infinity_moment(g, m, 0.9, 1e-3),
            o.bias_correction(m, 0.9, np.int32(3)),
            [o.safe_norm(x, 0.5) for x in (g["w"], m["b"] * 0)], o.safe_root_mean_squares(g["w"], 0.5),
            grad(lambda x: o.safe_norm(x, 0.5))(np.zeros(3, np.float32)),
            [grad(lambda x, s=s: (o.scale_gradient(x, s) ** 2).sum())(g["w"]) for s in (0.0, 1.0, 0.25)],
            dist.log_prob(np.ones((3, 2), np.float32)), dist.params,
        ]  # fmt: skip

    assert_close(seen(optim, aj.grad), of_optax(lambda o: seen(o, jax.grad)), 8)


def test_multi_steps_says_when_it_has_updated():
    opt = optim.MultiSteps(optim.sgd(0.1), lambda step: 2)
    state, seen = opt.init(params()), []
    for i in range(5):
        _, state = opt.update(gradients(i), state, params())
        seen.append(bool(opt.has_updated(state)))
    assert seen == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optim.adamw(0.1).update(gradients(0), optim.adamw(0.1).init(params())), TreeError, "the parameters"),
        (lambda: optim.sgd(0.1).update(gradients(0), (), params()), TreeError, r"\[chain\].*2 transformations"),
        (lambda: optim.apply_updates(params(), {"w": 1.0}), TreeError, "missing"),
        (lambda: optim.adam(0.1).update({"w": 1.0}, optim.adam(0.1).init(params())), TreeError, "structure"),
        (lambda: optim.MultiSteps(optim.sgd(0.1), 0), ValueError, "at least 1"),
        (
            lambda: optim.inject_hyperparams(optim.adam, "lr"),
            ValueError,
            "in static_args, got 'lr'",
        ),
        (lambda: optim.partition({"x": optim.sgd(1.0)}, "y").init(params()), TreeError, r"labels of \['x'\], got 'y'"),
        (lambda: optim.named_chain(("a", optim.identity()), ("a", optim.identity())), ValueError, "names that differ"),
        (lambda: optim.lookahead(optim.sgd(1.0), 3, 0.5).init(params()), TreeError, "LookaheadParams"),
        (lambda: optim.safe_increment(True), TypeError, "integer or a float"),
    ],
)
def test_misuse_is_explained(call, error, message):
    with pytest.raises(error, match=message):
        call()
