"""What the rounds of the loop came to, read from what the product keeps: run records, reports of
evaluations and experiments, snapshots, simulations and the feedback log. Starts nothing."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo.charts import Rate
from demo.lineage import Step, lineage
from llmops.evaluation.report import read
from llmops.preferences.snapshot import Snapshot, snapshots
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import Manifest
from llmops.runner.record import RunRecord, list_runs
from llmops.runner.stage import Context
from llmops.simulation.record import SimulationRecord, simulations

if TYPE_CHECKING:
    import polars as pl

NAME = "town"
METRICS = ("correct", "terse")
PARTS = {"pairs": "pairs", "dpo": "training", "check": "evaluation", "offer": "promotion"}
"""The stages between the last vote and the candidate, and what they are called."""
SWAP = "swap, first answer"
PAUSE = 5.0
"""Seconds between two stages from which on the run was interrupted there."""


@dataclass(frozen=True)
class Round:
    """One turn. rates: by metric; baseline: those of the version that it started from. pairs: that
    trained, by builder. seconds: from the last vote to the first answer of the candidate, by part,
    or empty when the round was interrupted on the way. experiment: its outcome in words; moved:
    whether the version went to production."""

    number: int
    run: str
    version: str
    rates: dict[str, Rate]
    baseline: dict[str, Rate]
    against: str
    gate: str
    pairs: dict[str, int]
    snapshot: str
    seconds: dict[str, float]
    experiment: str
    moved: bool
    visits: int
    ratings: int
    failed: int


@dataclass(frozen=True)
class Story:
    """All rounds, and where one answer came from. answers: in the log; errors: of those that
    ended in one."""

    rounds: list[Round]
    chain: list[Step]
    answers: int
    errors: int


def finished(context: Context, pipeline: Path) -> list[RunRecord]:
    """The runs of the pipeline that came to their end, oldest first."""
    return [
        run
        for run in list_runs(context.paths)
        if run.state == "done" and Path(run.target).name == pipeline.name and _version(run)
    ]


def read_story(context: Context, pipeline: Path) -> Story:
    """What there is to tell. Moves the journal into the database first."""
    import polars as pl

    from llmops.feedback.frames import rows_of
    from llmops.feedback.ingest import fresh
    from llmops.store.tables import feedback, inferences

    database = fresh(context.settings, context.paths)
    try:
        answers = rows_of(database, inferences, NAME)
        said = rows_of(database, feedback, NAME)
    finally:
        database.dispose()
    runs = finished(context, pipeline)
    rounds = [_round(i, run, context, answers) for i, run in enumerate(runs, start=1)]
    chain: list[Step] = []
    if rounds:
        manifest = _manifest(context, rounds[-1].version)
        snapshot = _snapshot(context, rounds[-1].snapshot)
        chain = lineage(manifest, snapshot, answers, said)
    errors = answers.filter(pl.col("error").is_not_null()).height
    return Story(rounds, chain, answers.height, errors)


def _round(number: int, run: RunRecord, context: Context, answers: "pl.DataFrame") -> Round:
    version = _version(run)
    report = _report(context, version)
    snapshot = _snapshot(context, str(_stage(run, "pairs").output))
    traffic = _simulation(context, run, "traffic")
    trial = _simulation(context, run, "trial")
    experiment = _last(context, version, "experiment")
    both = [one for one in (traffic, trial) if one is not None]
    return Round(
        number=number,
        run=run.id,
        version=version,
        rates=_rates(report, "version"),
        baseline=_rates(report, "baseline"),
        against=str(report.get("against") or ""),
        gate=str(report.get("summary", "")),
        pairs=_by_builder(snapshot),
        snapshot=snapshot.id,
        seconds=_seconds(run, version, traffic, answers),
        experiment=experiment.summary if experiment else "",
        moved=_stage(run, "release").output == version,
        visits=sum(one.visits for one in both),
        ratings=sum(sum(one.events.values()) for one in both),
        failed=sum(one.failed for one in both),
    )


def _version(run: RunRecord) -> str:
    return str(_stage(run, "dpo").output or "")


def _stage(run: RunRecord, name: str) -> Any:
    return next(stage for stage in run.stages if stage.name == name)


def _manifest(context: Context, version: str) -> Manifest:
    return context.registry.resolve(version)


def _snapshot(context: Context, name: str) -> Snapshot:
    return next(one for one in snapshots(NAME, context.paths) if one.id == name)


def _last(context: Context, version: str, kind: str) -> Evidence | None:
    found = [one for one in EvidenceLog(context.paths).of(NAME, version) if one.kind == kind]
    return found[-1] if found else None


def _report(context: Context, version: str) -> dict[str, Any]:
    """The report of the newest evaluation; empty when there is none."""
    evidence = _last(context, version, "evaluation")
    if evidence is None or evidence.file is None:
        return {}
    return read(context.settings.root / evidence.file)


def _rates(report: dict[str, Any], whose: str) -> dict[str, Rate]:
    found = {}
    for one in report.get("metrics", []):
        figures = one[whose]
        if one["metric"] in METRICS and figures is not None:
            found[one["metric"]] = Rate(figures["estimate"], figures["low"], figures["high"])
    return found


def _by_builder(snapshot: Snapshot) -> dict[str, int]:
    """The pairs that train."""
    import polars as pl

    rows = pl.read_parquet(snapshot.pairs, columns=["builder", "split"])
    counted = rows.filter(pl.col("split") == "train").group_by("builder").len().sort("builder")
    return dict(counted.iter_rows())


def _simulation(context: Context, run: RunRecord, stage: str) -> SimulationRecord | None:
    output = str(_stage(run, stage).output)
    found = [one for one in simulations(context.paths) if one.id == output]
    return found[-1] if found else None


def _seconds(
    run: RunRecord, version: str, traffic: SimulationRecord | None, answers: "pl.DataFrame"
) -> dict[str, float]:
    import polars as pl

    if traffic is None or not traffic.last_event or not _went_through(run, traffic):
        return {}
    first = answers.filter(
        pl.col("version") == version, pl.col("variant") == "candidate", pl.col("error").is_null()
    ).sort("time")
    if not first.height:
        return {}
    answered = (first["time"][0] + (first["total_ms"][0] or 0.0)) / 1000
    parts = {said: float(_stage(run, name).seconds) for name, said in PARTS.items()}
    rest = answered - traffic.last_event - sum(parts.values())
    return {**parts, SWAP: max(rest, 0.0)}


def _went_through(run: RunRecord, traffic: SimulationRecord) -> bool:
    """Whether each stage from the last vote on began when the one before it had ended: a run that
    was interrupted and gone on with says nothing about how long a round takes."""
    ended = traffic.ended
    for name in [*PARTS, "trial"]:
        stage = _stage(run, name)
        if stage.started is None or stage.seconds is None:
            return False
        began = datetime.fromisoformat(stage.started).timestamp()
        if began - ended > PAUSE:
            return False
        ended = began + float(stage.seconds)
    return True
