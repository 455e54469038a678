"""What plans for the Neural Engine are predicted to take: eight networks, inference and training, on each chip.

    python -m benchmarks.engine_plans [--network "ResNet-18"] [--chip M4] [--json]

Nothing is run. Weights are constants in inference, but for the Stories networks, and inputs in training. For each
plan: milliseconds of a call, casts and the CPU device's part included, beside those of the CPU device alone; the part
of all products' FLOP that the engine has; MB that cross between the devices; engine programs that are compiled, their
runs in a call, and segments. docs/engine.md keeps the tables.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from anejax.engine.graphs import program_graph
from anejax.engine.placement import facts_of, flows_of, whole_us
from anejax.mil.chips import CHIPS
from anejax.partition import partition
from anejax.partition.cost import host_us, product_flops
from benchmarks.networks import NAMES, forward_and_back, subject_of


@dataclass(frozen=True)
class Row:
    """One plan."""

    network: str
    step: str
    chip: str
    ms: float
    cpu_ms: float
    share: float
    mb: float
    programs: int  # that are compiled: equal ones count once
    runs: int  # of them in a call
    segments: int
    seconds: float  # that planning took here


def plan_of(network: str, step: str, chip: str) -> Row:
    """The plan of ``network`` for ``chip``, whose side decides by cost."""
    function, args = subject_of(network, step)
    graph, _ = program_graph(function, *args)
    begin = time.perf_counter()
    plan = partition(graph, chip)
    took = time.perf_counter() - begin
    flops = [product_flops(e) for e in plan.source.eqns]
    segments = [facts_of(s, (plan.source.eqns[i] for i in s.origin)) for s in plan.segments]
    device = lambda i: "cpu" if i is None else segments[i].device  # noqa: E731
    flows = flows_of(plan)
    crossing = sum(f.nbytes for f in flows if device(f.source) != device(f.target))
    times = whole_us(segments, flows) / 1e3, host_us(graph.eqns) / 1e3
    counts = plan.compiled, len(plan.programs), len(segments)
    return Row(network, step, chip, *times, plan.flops / max(sum(flops), 1), crossing / 1e6, *counts, took)


# Times that others published for whole networks, in ms (docs/sources.md, "Whole networks"). ViT-B/16 at 18.3 ms on M5
# Pro is left out: its batch size is unknown, and the time does not fit batch 1.
RECORD = (
    ("Stories 110M, forward and back", "M1 Pro", 33.5), ("Stories 110M, forward and back", "M4", 9.6),
    ("Stories 110M, forward and back", "M4 Pro", 8.9), ("Stories 110M, forward and back", "M4 Max", 10.2),
    ("Stories 110M, forward and back", "M5", 9.45), ("ResNet-18", "M5 Pro", 0.33), ("MiniLM", "M5 Pro", 0.53),
)  # fmt: skip


def record() -> None:
    """Prints what the engine is predicted to take for networks on record, beside what it took."""
    print("| network | chip | on record, ms | predicted, ms | error |\n|---|---|---|---|---|")
    errors = []
    for name, chip, ms in RECORD:
        function, args = forward_and_back() if "Stories" in name else subject_of(name, "forward")
        plan = partition(program_graph(function, *args)[0], chip, by_cost=False)
        predicted = plan.cost.us / 1e3
        errors.append(abs(predicted / ms - 1))
        print(f"| {name} | {chip} | {ms:g} | {predicted:.2f} | {predicted / ms - 1:+.0%} |", flush=True)
    print(f"\nmedian error {statistics.median(errors):.0%}")


def rows(networks: list[str], steps: list[str], chips: list[str]) -> Iterator[Row]:
    """The plans, one by one."""
    yield from (plan_of(n, s, c) for n in networks for s in steps for c in chips)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=NAMES, help="one of the networks; repeat it")
    parser.add_argument("--step", action="append", choices=("forward", "train"))
    parser.add_argument("--chip", action="append", choices=[*CHIPS])
    parser.add_argument("--json", action="store_true", help="a JSON object in each line")
    parser.add_argument("--record", action="store_true", help="hold the cost model against whole networks on record")
    args = parser.parse_args()
    if args.record:
        record()
        return
    if not args.json:
        print("| network | step | chip | ms | CPU device, ms | FLOP on the engine | MB | programs | runs | segments |")
        print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows(args.network or [*NAMES], args.step or ["forward", "train"], args.chip or [*CHIPS]):
        if args.json:
            print(json.dumps(asdict(row)), flush=True)
            continue
        counts = f"{row.programs} | {row.runs} | {row.segments}"
        cells = f"{row.ms:.2f} | {row.cpu_ms:.2f} | {row.share:.0%} | {row.mb:.1f} | {counts}"
        print(f"| {row.network} | {row.step} | {row.chip} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
