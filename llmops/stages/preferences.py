"""`kind: preferences`: a snapshot of pairs (or single judged answers) from the feedback log.

Planning builds the rows in memory, so that a plan can say what the log yields, and what was left
out and why, before anything trains; the fingerprint is the content of those rows. Executing writes
them. Rows that a snapshot has already are that snapshot.
"""

from collections.abc import Mapping
from typing import Any

from llmops.errors import BadInput
from llmops.preferences.report import Report
from llmops.preferences.snapshot import Snapshot, snapshots
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared
from llmops.spec.preferences import PreferencesRecipe


class Preferences:
    """The stage kind of recipes that turn feedback into pairs."""

    kind = "preferences"

    def inputs(self, spec: PreferencesRecipe) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        return {}

    def moves(self, spec: PreferencesRecipe) -> str | None:
        return None

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        from llmops.preferences import rows
        from llmops.preferences.build import build
        from llmops.preferences.source import read_log

        recipe: PreferencesRecipe = node.spec
        waiting = tuple(pending.node for pending in inputs.get("after", ()))
        where = node.declared.source.where(("deployment",))
        log = read_log(context.settings, recipe, where=where, pending=bool(waiting))
        built = build(log, recipe)
        if not waiting:
            refuse_few(built.report, recipe, node.declared.source.where(("builders",)))
        name = recipe.output.preferences
        digest = rows.digest(built.rows)
        known = snapshots(name, context.paths)
        found = next((one for one in reversed(known) if one.digest == digest), None)
        done = found is not None and not waiting
        return Prepared(
            parts={"preferences": name, "rows": digest},
            output=Pending(node.name, "preferences", name),
            found=found if done else None,
            pending_on=waiting,
            done=done,
            reasons=() if done else _reasons(known),
            summary=built.report.summary(),
            notes=tuple(built.report.lines()),
            payload=built,
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Snapshot:
        from llmops.preferences.save import save

        return save(prepared.payload, attempt.node.spec, context.paths, run=attempt.run)


def _reasons(known: list[Snapshot]) -> tuple[str, ...]:
    if not known:
        return ("never run",)
    last = known[-1].manifest.report
    return (f"the log yields other rows than {known[-1].id} ({last.total:,})",)


def refuse_few(report: Report, recipe: PreferencesRecipe, where: str) -> None:
    """Raises BadInput when too little is left to train on, saying where the rest went."""
    noun = "pairs" if recipe.layout == "pairs" else "judged answers"
    lost = report.why_few()
    if recipe.layout == "unpaired" and report.total and report.good in (0, report.total):
        kind = "good" if report.good else "bad"
        raise BadInput(
            f"all {report.total:,} judged answers are {kind}: KTO needs both kinds",
            where=where,
            fix=lost or "collect thumbs of the other kind too",
        )
    if report.train >= recipe.min_pairs:
        return
    if not report.events:
        raise BadInput(
            f"nobody has rated anything of deployment `{recipe.deployment}` yet",
            where=where,
            fix="rate answers by POST /v1/feedback",
        )
    held = f", and {report.holdout:,} held out" if report.holdout else ""
    raise BadInput(
        f"the log yields {report.train:,} {noun} to train on{held}, "
        f"where at least {recipe.min_pairs:,} are asked for (`min_pairs`)",
        where=where,
        fix=f"left out: {lost}" if lost else "collect more feedback, or lower `min_pairs`",
    )
