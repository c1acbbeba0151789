"""What nothing costs: runs and plans of what is up to date, beside `dvc repro` of as many stages.

    python benchmarks/run.py noop

Whole processes, in turns. The town's pipeline has run for real before (about two minutes on two
cores; TOWN names a project where it has), without the three stages that move what is served, which
makes the next turn new. What stands for a long pipeline, and for one over many files, is registered
as if it had been trained: no engine is started for it. DVC is measured where DVC names its command
(an environment of its own: `pip install dvc`).
"""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.run import command, interleaved, spread, table

LLMOPS = str(Path(sys.executable).with_name("llmops"))
QUIET = "pipelines/quiet.yaml"
STAGES = 1000
MOVES = ("offer:", "trial:", "release:")
FILES, FILE_BYTES = 10_000, 500_000
ROW = json.dumps({"instruction": "What flows past the old mill?", "output": "The river. " * 4500})
RECIPE = """\
kind: train
stage: sft
base: "path:seed"
data: {train: [%s]}
args: {finetuning_type: full, max_steps: 1}
output: {model: town}
"""


def bench_noop(rounds: int) -> None:
    dvc = os.environ.get("DVC", "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        town, many, long = folder / "town", folder / "many", folder / "long"
        stages = make_town(town)
        make_many(many)
        make_long(long)
        sides = {
            f"`llmops run`, {stages} stages of the town": command(LLMOPS, "run", QUIET, cwd=town),
            "`llmops plan` of the same": command(LLMOPS, "plan", QUIET, cwd=town),
            f"`llmops run`, {FILES:,} data files of {FILES * FILE_BYTES / 1e9:.0f} GB": command(
                LLMOPS, "run", "many.yaml", cwd=many
            ),
            f"`llmops plan`, {STAGES:,} stages, all new": command(
                LLMOPS, "plan", "long.yaml", "stages.s0.set={args.max_steps: 2}", cwd=long
            ),
            f"`llmops plan`, {STAGES:,} stages, up to date": command(
                LLMOPS, "plan", "long.yaml", cwd=long
            ),
            "`llmops run`, the same": command(LLMOPS, "run", "long.yaml", cwd=long),
        }
        if dvc:
            make_dvc(folder / "dvc", stages, dvc)
            sides[f"`dvc repro`, {stages} stages"] = command(dvc, "repro", cwd=folder / "dvc")
        for call in sides.values():
            call()
        times = interleaved(sides, rounds)
        rows = [(n, f"{statistics.median(t):.2f} s", spread(t)) for n, t in times.items()]
        table(f"Nothing to do, {rounds} rounds", rows)
        table(
            f"sha256 of {HASHED >> 20:,} MiB of new data, {rounds} rounds", hashing(folder, rounds)
        )


def make_town(folder: Path) -> int:
    """A project whose pipeline is up to date; the number of its stages."""
    given = os.environ.get("TOWN")
    if given:
        shutil.copytree(given, folder, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))
    else:
        command(LLMOPS, "init", str(folder))()
    lines = (folder / "pipelines" / "town.yaml").read_text(encoding="utf-8").splitlines(True)
    text = "".join(line for line in lines if not line.strip().startswith(MOVES))
    (folder / QUIET).write_text(text.replace("name: town", "name: quiet"), encoding="utf-8")
    command(LLMOPS, "run", QUIET, cwd=folder)()
    plan = subprocess.run(
        [LLMOPS, "plan", QUIET, "--json"], cwd=folder, capture_output=True, check=True
    )
    states = [stage["state"] for stage in json.loads(plan.stdout)["stages"]]
    if set(states) != {"reuse"}:
        raise SystemExit(f"the town is not up to date: {states}")
    return len(states)


def make_many(folder: Path) -> None:
    """One stage that trains on FILES files."""
    begin(folder)
    (folder / "data").mkdir()
    rows = FILE_BYTES // (len(ROW) + 1)
    for number in range(FILES):
        text = (ROW + "\n") * (rows - 1) + ROW.replace("old", f"old {number}") + "\n"
        (folder / "data" / f"{number}.jsonl").write_text(text, encoding="utf-8")
    files = ", ".join(f'"path:data/{number}.jsonl"' for number in range(FILES))
    (folder / "many.yaml").write_text(RECIPE % files, encoding="utf-8")
    pretend(folder, "many.yaml")


def make_long(folder: Path) -> None:
    """A chain of STAGES trainings."""
    begin(folder)
    (folder / "a.jsonl").write_text(ROW + "\n", encoding="utf-8")
    (folder / "r.yaml").write_text(RECIPE % '"path:a.jsonl"', encoding="utf-8")
    lines = ["name: long", "stages:", "  s0: {recipe: r.yaml}"]
    lines += [f'  s{n}: {{recipe: r.yaml, base: "stage:s{n - 1}"}}' for n in range(1, STAGES)]
    (folder / "long.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    pretend(folder, "long.yaml")


def begin(folder: Path) -> None:
    from tests.fast.copying_stage import tiny_model

    folder.mkdir()
    (folder / "llmops.toml").touch()
    tiny_model(folder / "seed", "seed")
    template = {"chat_template": "{{ messages }}"}
    (folder / "seed" / "tokenizer_config.json").write_text(json.dumps(template), encoding="utf-8")


def pretend(folder: Path, target: str) -> None:
    """Register for each stage a model as if the stage had made it."""
    from llmops.registry.locate import located
    from llmops.registry.manifest import Draft
    from llmops.runner.fingerprint import fingerprint
    from llmops.runner.graph import build_graph
    from llmops.runner.plan import plan_stage
    from llmops.runner.stage import Context
    from llmops.spec.settings import load_settings
    from llmops.stages.catalog import KINDS
    from tests.fast.copying_stage import tiny_model

    context, made = Context(load_settings(folder)), {}
    graph = build_graph(folder / target, [], root=folder, kinds=KINDS)
    for number, node in enumerate(graph.nodes):
        parts = plan_stage(node, made, context, KINDS, forced=False).prepared.parts
        with tempfile.TemporaryDirectory() as name:
            source = tiny_model(Path(name) / "model", str(number))
            draft = Draft(
                name="town", kind="full", stage="sft", fingerprint=fingerprint(parts), parts=parts
            )
            made[node.name] = located(context.registry.add(draft, source), context.registry)
    context.remember()


def make_dvc(folder: Path, stages: int, dvc: str) -> None:
    """A chain of as many stages that copy a file."""
    folder.mkdir()
    lines = ["stages:"]
    for number in range(stages):
        lines += [
            f"  s{number}:",
            f"    cmd: cp f{number} f{number + 1}",
            f"    deps: [f{number}]",
            f"    outs: [f{number + 1}]",
        ]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "f0").write_text("0", encoding="utf-8")
    command(dvc, "init", "--no-scm", "-q", cwd=folder)()
    command(dvc, "config", "core.analytics", "false", cwd=folder)()
    command(dvc, "repro", "-q", cwd=folder)()


HASHED = 1 << 30


def hashing(folder: Path, rounds: int) -> list[tuple[str, str, str]]:
    """Digests of new data beside hashlib alone over bytes in memory, and what memory it takes."""
    import hashlib

    from llmops.store.digest import Digests
    from llmops.store.paths import ProjectPaths

    piece = os.urandom(1 << 20)
    file = folder / "new.bin"
    with file.open("wb") as out:
        for _ in range(HASHED >> 20):
            out.write(piece)

    def alone() -> None:
        known = hashlib.sha256()
        for _ in range(HASHED >> 20):
            known.update(piece)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sides: dict[str, Callable[[], object]] = {
        "one core's sha256, from memory": alone,
        "a file that is new to the project": lambda: Digests(ProjectPaths(folder)).file(file),
    }
    times = interleaved(sides, rounds)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    rate = {name: [HASHED / 1e6 / one for one in found] for name, found in times.items()}
    rows = [
        (name, f"{statistics.median(r):,.0f} MB/s", f"{min(r):,.0f} to {max(r):,.0f} MB/s")
        for name, r in rate.items()
    ]
    return [*rows, ("memory that it added", f"{grown:.1f} MiB", "")]
