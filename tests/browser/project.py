"""A project that has been used for two weeks, made by the product's own code: versions by the
registry, moves of aliases by theirs, a log by the journal, preferences by their recipe. What the
product dates by its clock is set back afterwards (`_aged`), so that a history looks like one.
"""

import io
import json
from collections.abc import Sequence
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from llmops.gateway.routes import RoutedVariant, Routes, Upstream, write_routes
from llmops.registry.aliases import Aliases
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.integrity import seal_of
from llmops.registry.manifest import DataUsed, Draft, Lineage, VersionId
from llmops.registry.store import Registry
from llmops.runner.progress import PlainReporter
from llmops.runner.stage import Context
from llmops.runner.start import start_run
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.starter import copy_starter
from llmops.store.digest import sha256_file
from llmops.store.paths import ProjectPaths
from tests.browser.history import write_history
from tests.browser.hostile import FILE, HOSTILE, NAME, RECIPE
from tests.browser.training import CPT, DPO, SFT, PastRun
from tests.fast.models_on_disk import write_adapter, write_full
from tests.fast.served import GOLDEN

DEPLOYMENT: dict[str, Any] = {
    "name": "town",
    "listen": {"port": 0},
    "variants": {
        "control": {"model": "town@production"},
        "candidate": {"model": "town@candidate"},
    },
    "traffic": {"weights": {"control": 50, "candidate": 50}, "unit": ["user", "session"]},
    "feedback": {"log": "required", "retention": "90d"},
    "experiment": {
        "control": "control",
        "candidate": "candidate",
        "outcome": "thumbs",
        "not_worse_by": 0.15,
        "simulated": True,
    },
}
METRICS = {
    "cpt": {"train_loss": 1.1426, "eval_loss": 1.2071},
    "sft": {"train_loss": 0.3094, "eval_loss": 0.3312},
    "dpo": {"train_loss": 0.1938, "eval_loss": 0.2107, "rewards/accuracies": 0.9375},
}
LEGACY = f"""\
name: legacy
backend: {{kind: openai, url: "http://127.0.0.1:9"}}
variants: {{old: {{upstream: {json.dumps(NAME)}}}}}
listen: {{port: 0}}
"""
TRIGGERS = """\
triggers:
  - {name: weekly, cron: "0 3 * * 1", timezone: Europe/Berlin, approval: true}
  - feedback: {new_pairs: 500, cooldown: 24h}
  - {webhook: LLMOPS_HOOK_SECRET}
limits: {runs_a_day: 4, device_hours_a_month: 100}
"""
PAIRS = """\
# Pairs from what people said, and a person who agrees. Needs no engine.
name: pairs
stages:
  pairs: {recipe: recipes/preferences.yaml}
  release: {promote: "town:v3", to: staging, approval: true, after: [pairs]}
triggers:
  - {name: monthly, cron: "30 4 1 * *"}
"""


def make_project(root: Path, *, hostile: bool = True) -> None:
    """Everything that needs no server. `serve_from` says what its deployment stands before.
    hostile: with texts that would harm who shows them carelessly."""
    copy_starter(root)
    with (root / "pipelines" / "town.yaml").open("a", encoding="utf-8") as file:
        file.write(TRIGGERS)
    (root / "pipelines" / "pairs.yaml").write_text(PAIRS, encoding="utf-8")
    _edit(root / "recipes" / "preferences.yaml", "min_pairs: 100", "min_pairs: 10")
    _edit(root / "recipes" / "simulate.yaml", "visits: 1500", "visits: 150")
    serve_from(root, "http://127.0.0.1:9")
    if hostile:
        (root / "serving" / "legacy.yaml").write_text(LEGACY, encoding="utf-8")
        (root / "recipes" / FILE).write_text(RECIPE, encoding="utf-8")
    _versions(root, HOSTILE if hostile else ("", "it stammers"))
    _routes(root)
    write_history(root, "town:v1", ("town:v2", "town:v3"), hostile=hostile)
    context = Context(load_settings(root))
    with chdir(root):
        start_run(
            Path("recipes/preferences.yaml"),
            [],
            context=context,
            kinds=KINDS,
            reporter=PlainReporter(io.StringIO()),
        )


def serve_from(root: Path, url: str) -> None:
    """Let the deployment stand before a backend."""
    text = yaml.safe_dump(
        {**DEPLOYMENT, "backend": {"kind": "openai", "url": url}}, sort_keys=False
    )
    (root / "serving" / "town.yaml").write_text(text, encoding="utf-8")


def _edit(file: Path, before: str, after: str) -> None:
    text = file.read_text("utf-8")
    assert before in text, f"{file} has changed"
    file.write_text(text.replace(before, after), encoding="utf-8")


def _versions(root: Path, said: Sequence[str]) -> None:
    """town-base:v1 and v2, town:v1 to v4; their runs; what moved which alias. said: an error and a
    reason that somebody gave."""
    registry = Registry(ProjectPaths(root))
    town = PastRun(root, "pipelines/town.yaml", 13.0)
    town.done("base", 3.2, "town-base:v1")
    town.trained("cpt", CPT, "town-base:v2", 361.0)
    town.trained("sft", SFT, "town:v1", 164.0)
    for stage, output in (("anchor", "town:v1"), ("first", "town:v1"), ("traffic", None)):
        town.done(stage, 0.1, output)
    town.done("pairs", 2.0)
    town.failed("dpo", DPO, 0.4, 31.0, f"RuntimeError: out of memory {said[0]}")
    failed = town.end("failed")
    _add(registry, root, 13.0, "town-base", "base", fill=1)
    _add(registry, root, 13.0, "town-base", "cpt", fill=2, run=failed, parent="town-base:v1")
    _add(registry, root, 13.0, "town", "sft", fill=3, run=failed, parent="town-base:v2")
    _move(root, "anchor", 1, 13.0, "what rounds start from", by=f"run {failed}")
    _move(root, "production", 1, 13.0, "the first that answers", by=f"run {failed}")
    runs = {n: _round(registry, root, n, days) for n, days in ((2, 9.0), (3, 5.2), (4, 0.6))}
    for number, run in runs.items():
        _evidence(root, number, run)
    told = "town.correct 93.0%, town.terse 96.5%; gate: 2 of 2 met"
    won = "better: thumbs: gain [+0.021, +0.394] is above 0"
    _move(root, "candidate", 2, 8.9, told, by=f"run {runs[2]}")
    _move(root, "production", 2, 8.0, won, by=f"run {runs[2]}")
    _move(root, "production", 3, 6.5, "tried by hand", by="cli:mara")
    _move(root, "production", 2, 6.4, f"rollback from town:v3: {said[1]}", by="cli:mara")
    _move(root, "candidate", 3, 5.1, told, by=f"run {runs[3]}")


def _round(registry: Registry, root: Path, number: int, days: float) -> str:
    """The run that made town:vN."""
    run = PastRun(root, "recipes/dpo.yaml", days, by="schedule:town/feedback")
    for reused in run.log.record.stages[:-1]:
        run.log.stage(reused.name, "reused", output="town:v1", digest="0" * 64)
    run.trained(run.log.record.stages[-1].name, DPO, f"town:v{number}", 48.0)
    id = run.end("done")
    _add(registry, root, days, "town", "dpo", fill=number, run=id, parent="town:v1")
    return id


def _add(
    registry: Registry,
    root: Path,
    days: float,
    name: str,
    stage: str,
    *,
    fill: int,
    run: str | None = None,
    parent: str | None = None,
) -> None:
    source = root / ".made" / f"{name}-{stage}-{fill}"
    full = stage != "dpo"
    file = Path(f"recipes/data/town_{stage}.jsonl")
    used = root / file
    recipe = f"recipes/{stage}.yaml"
    draft = Draft(
        name=name,
        kind="full" if full else "adapter",
        stage=stage,
        base=None if full else "town:v1",
        lora_rank=None if full else 8,
        dtype="float32",
        golden=[GOLDEN],
        metrics=METRICS.get(stage, {}),
        lineage=Lineage(
            run=run,
            stage=stage,
            attempt=1,
            recipe=recipe,
            resolved=yaml.safe_load((root / recipe).read_text("utf-8")),
            parent=parent,
            data=[]
            if stage == "base"
            else [DataUsed(path=str(file), sha256=sha256_file(used), samples=576)],
            engine="llamafactory",
            engine_version="0.9.5",
        ),
    )
    made = write_full(source, fill) if full else write_adapter(source, "town:v1", rank=8, fill=fill)
    manifest = registry.add(draft, made)
    written = registry.directory(manifest) / "manifest.json"
    written.chmod(0o644)
    record = json.loads(written.read_text()) | {"created": _ago(days)}
    written.write_text(json.dumps(record | {"seal": seal_of(record)}))


def _move(root: Path, alias: str, number: int, days: float, why: str, *, by: str) -> None:
    paths = ProjectPaths(root)
    Aliases(paths).move(alias, VersionId("town", number), why=why, by=by)
    _aged(paths.aliases("town"), days)


def _evidence(root: Path, number: int, run: str) -> None:
    """What an evaluation found after that round; the last one did not pass."""
    passed = number < 4
    figures = "town.correct 93.0%, town.terse 96.5%; gate: 2 of 2 met"
    if not passed:
        figures = "town.correct 61.1%, town.terse 97.2%; gate: 1 of 2 met"
    missing = ["town.correct is 61.1%, more than 10 points below the 92.0% of town:v1"]
    piece = Evidence(
        id=f"evidence:town:v{number}/check-{number:016d}",
        time=_ago({2: 8.95, 3: 5.15, 4: 0.55}[number]),
        kind="evaluation",
        version=f"town:v{number}",
        against="town:v1",
        passed=passed,
        summary=figures,
        missing=[] if passed else missing,
        digest="2" * 64,
        by=f"run {run}",
    )
    EvidenceLog(ProjectPaths(root)).add(piece)


def _aged(file: Path, days: float) -> None:
    """Set back the last line of a log of records."""
    *lines, last = file.read_text("utf-8").splitlines()
    lines.append(json.dumps(json.loads(last) | {"time": _ago(days)}))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="milliseconds")


def _routes(root: Path) -> None:
    """The tables that the log speaks of: production alone, then two versions side by side."""
    for generation, sides in ((1, {"control": 1}), (2, {"control": 2, "candidate": 3})):
        table = Routes(
            deployment="town",
            generation=generation,
            written=_ago(13.0 if generation == 1 else 5.0),
            backends={"openai": Upstream(url="http://127.0.0.1:9", own=False)},
            versions={},
            variants={
                name: RoutedVariant(version=f"town:v{number}", weight=50.0)
                for name, number in sides.items()
            },
            unit=["user", "session"],
            salt="town",
            log="required",
            window=90 * 86_400.0,
        )
        write_routes(ProjectPaths(root).deployment("town").routes, table)
