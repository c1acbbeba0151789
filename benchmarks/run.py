"""Measure what docs/benchmarks.md shows: `make bench`.

Each figure is taken against a peer or a limit in the same run, interleaved, as medians of whole
processes; nothing here passes or fails. Needs the engine environments.

    python benchmarks/run.py [cli] [overhead] [--rounds N]
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Row = tuple[str, str, str]


def seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def interleaved(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Each side once a round, so that the noise of the machine meets them all alike."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name, call in sides.items():
            times[name].append(seconds(call))
            print(f"  round {number + 1}/{rounds} {name}: {times[name][-1]:.3f} s", flush=True)
    return times


def command(*args: str, cwd: Path = ROOT) -> Callable[[], object]:
    """A whole process, its output thrown away. Raises when it fails."""
    # Compiled modules are kept, as on a user's machine; some build machines forbid it.
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    return lambda: subprocess.run([*args], cwd=cwd, env=env, stdout=subprocess.DEVNULL, check=True)


def table(title: str, rows: Sequence[Row]) -> None:
    print(f"\n{title}\n\n| what | median | spread |\n| --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def wide(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table with columns of its own."""
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def spread(times: Sequence[float]) -> str:
    return f"{min(times):.3f} to {max(times):.3f} s"


def bench_cli(rounds: int) -> None:
    """Start-up of the quick commands beside the interpreter's own."""
    llmops = str(Path(sys.executable).with_name("llmops"))
    sides = {
        "python -c pass": command(sys.executable, "-c", "pass"),
        "llmops --help": command(llmops, "--help"),
        "llmops plan pipelines/town.yaml": command(llmops, "plan", "pipelines/town.yaml"),
    }
    for call in sides.values():
        call()  # once for the file cache
    times = interleaved(sides, rounds)
    table(
        f"Start-up, {rounds} rounds",
        [(name, f"{statistics.median(t):.3f} s", spread(t)) for name, t in times.items()],
    )


def bench_overhead(rounds: int) -> None:
    """`llmops run` of a training recipe against the engine itself on the config it compiled."""
    from benchmarks.overhead import Overhead

    with tempfile.TemporaryDirectory() as folder:
        overhead = Overhead(Path(folder))
        overhead.prepare()
        times = interleaved({"engine": overhead.engine, "llmops run": overhead.llmops}, rounds)
    pairs = zip(times["llmops run"], times["engine"], strict=True)
    differences = [ours - theirs for ours, theirs in pairs]
    rows = [(name, f"{statistics.median(t):.2f} s", spread(t)) for name, t in times.items()]
    rows.append(("added", f"{statistics.median(differences):.2f} s", spread(differences)))
    table(f"`llmops run` against the engine, {rounds} rounds", rows)


def bench_tokens(rounds: int) -> None:
    """One step of training on many samples, with and without tokenized data."""
    from benchmarks.tokens import SAMPLES, Tokens

    with tempfile.TemporaryDirectory() as folder:
        tokens = Tokens(Path(folder))
        tokens.prepare()
        sides = {"makes": tokens.makes, "takes": tokens.takes, "without": tokens.without}
        times = interleaved(sides, rounds)
        size = tokens.megabytes()
    rows = [
        (name, *(f"{statistics.median(t):.1f} s ({spread(t)})" for t in (times[name], cpu)))
        for name, cpu in tokens.cpu.items()
    ]
    columns = ("entry", "clock", "CPU")
    wide(f"{SAMPLES:,} samples, {size:.0f} MB of tokens, {rounds} rounds", columns, rows)


def bench_threads(rounds: int) -> None:
    """The engine beside two busy processes, with OpenMP's threads spinning or sleeping."""
    from benchmarks.overhead import Overhead

    with tempfile.TemporaryDirectory() as folder:
        overhead = Overhead(Path(folder))
        overhead.prepare()
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
        try:
            sides = {
                "threads spin (OpenMP's default)": lambda: overhead.engine("ACTIVE"),
                "threads sleep (llmops)": lambda: overhead.engine("PASSIVE"),
            }
            times = interleaved(sides, rounds)
        finally:
            for process in busy:
                process.kill()
                process.wait()
    rows = [(name, f"{statistics.median(t):.1f} s", spread(t)) for name, t in times.items()]
    table(f"20 steps of SFT beside two busy processes, {rounds} rounds", rows)


def bench_journal(rounds: int) -> None:
    """Durable feedback events against the disk's own fdatasync."""
    from benchmarks.journal import rounds_of, rows

    table(f"The journal, {rounds} rounds", rows(rounds_of(rounds)))


def bench_experiments(rounds: int) -> None:
    """Experiments of equal versions that are watched, units until a difference is found, and the
    time to ask one. rounds: experiments of each kind."""
    import asyncio

    from benchmarks.asking import EXPOSURES, Asking
    from benchmarks.experiments import SIDES, alarm_table, power_table

    alarms, power = alarm_table(rounds), power_table(max(rounds // 10, 10))
    wide(f"Alarms among {rounds} experiments of equal versions", ("crowd", *SIDES), alarms)
    columns = ("difference", "half have decided", "80% have decided", "one look, 80% power")
    wide("Users with a rating until it is decided", columns, power)
    with tempfile.TemporaryDirectory() as folder:
        asking = Asking(Path(folder))
        asyncio.run(asking.prepare())
        asking.decide()  # once for the imports
        times = interleaved({"reading the rows": asking.read, "decide": asking.decide}, 5)
    table(
        f"Asking an experiment of {EXPOSURES:,} exposures, 5 rounds",
        [(name, f"{statistics.median(t):.3f} s", spread(t)) for name, t in times.items()],
    )


def bench_swap(rounds: int) -> None:
    """A candidate that moves under load, and vLLM's throughput with and without the gateway."""
    from benchmarks.swap import CONNECTIONS, Swap, swap_rows, throughput

    with tempfile.TemporaryDirectory() as folder:
        swap = Swap(Path(folder) / "project")
        swap.prepare()
        with swap.served() as server:
            swapped = [swap.round(server) for _ in range(rounds)]
            (backend,) = server.backends.values()
            places = {"vLLM directly": backend, "through the gateway": server.endpoint}
            rates: dict[str, list[float]] = {name: [] for name in places}
            for number in range(2 * rounds):
                for name in list(places) if number % 2 else reversed(places):
                    rates[name].append(throughput(places[name], "town:v2"))
                    print(f"  {name}: {rates[name][-1]:.1f}/s", flush=True)
    table(f"A swap under load, {rounds} rounds", swap_rows(swapped))
    direct, through = (rates[name] for name in places)
    shares = [b / a for a, b in zip(direct, through, strict=True)]
    rows = [
        (name, f"{statistics.median(r):.1f}/s", f"{min(r):.1f} to {max(r):.1f}")
        for name, r in rates.items()
    ]
    rows.append(
        ("kept", f"{statistics.median(shares):.1%}", f"{min(shares):.1%} to {max(shares):.1%}")
    )
    table(f"Answers a second at {CONNECTIONS} connections, {2 * rounds} turns each", rows)


def bench_gateway(rounds: int) -> None:
    """The gateway against the backend alone; LITELLM_PYTHON names an environment with LiteLLM."""
    from benchmarks.gateway import main as measure

    measure(["--rounds", str(rounds)])


def bench_pairs(rounds: int) -> None:
    """A million feedback events to pairs, from memory and from SQLite."""
    from benchmarks.pairs import bench_pairs as bench

    bench(rounds)


def bench_ingest(rounds: int) -> None:
    """The journal into the database, and a million events out of it."""
    from benchmarks.ingest import bench_ingest as bench

    bench(rounds)


def bench_triggers(rounds: int) -> None:
    """The check of a feedback trigger over ten million events."""
    from benchmarks.triggers import bench_triggers as bench

    bench(rounds)


def bench_up(rounds: int) -> None:
    """`llmops up` to its first answer, beside the same vLLM started alone."""
    from benchmarks.up import ROWS, difference, measure, medians

    with tempfile.TemporaryDirectory() as folder:
        alone, up = measure(Path(folder) / "project", rounds)
    sides = [medians(alone), medians(up), difference(alone, up)]
    columns = ("until (s)", "vLLM alone", "llmops up", "ours")
    found = [(row, *(f"{getattr(s, field):.1f}" for s in sides)) for field, row in ROWS.items()]
    wide(f"From `llmops up` to the first answer, {rounds} rounds, medians", columns, found)


def bench_control(rounds: int) -> None:
    """What the control process costs: idle, and while twenty people look. rounds: tens of
    seconds."""
    from benchmarks.control import ControlBench, rows

    with tempfile.TemporaryDirectory() as folder:
        bench = ControlBench(Path(folder) / "town")
        bench.prepare()
        table(f"The control process, {10 * rounds} s idle", rows(bench, 10.0 * rounds))


def bench_ui(rounds: int) -> None:
    """The web UI in a real browser: first paint, tab switch, live curves; alone and for twenty."""
    from benchmarks.ui import OTHERS, rows

    with tempfile.TemporaryDirectory() as folder:
        found = rows(Path(folder), rounds)
    columns = ("what", "one browser", f"with {OTHERS} others", "at most")
    wide(f"The web UI, {rounds} rounds, medians", columns, found)


def bench_noop(rounds: int) -> None:
    """Runs and plans of what is up to date, beside DVC; DVC names its command."""
    from benchmarks.noop import bench_noop as measure

    measure(rounds)


def bench_registry(rounds: int) -> None:
    """Ten thousand versions; and a large one, GIGABYTES of it."""
    from benchmarks.registry import bench_registry as measure

    measure(rounds)


BENCHES = {
    "noop": (bench_noop, 9),
    "registry": (bench_registry, 7),
    "experiments": (bench_experiments, 2000),
    "threads": (bench_threads, 3),
    "cli": (bench_cli, 15),
    "overhead": (bench_overhead, 5),
    "tokens": (bench_tokens, 3),
    "journal": (bench_journal, 5),
    "ingest": (bench_ingest, 3),
    "pairs": (bench_pairs, 3),
    "triggers": (bench_triggers, 9),
    "gateway": (bench_gateway, 5),
    "swap": (bench_swap, 5),
    "up": (bench_up, 5),
    "control": (bench_control, 6),
    "ui": (bench_ui, 3),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(BENCHES), metavar="NAME")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    for name in options.names:
        bench, rounds = BENCHES[name]
        print(f"{name}:", flush=True)
        bench(options.rounds or rounds)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
