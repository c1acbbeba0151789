"""`kind: preferences`: a snapshot of pairs (or single judged answers) from the feedback log.

Planning builds the rows in memory, so that a plan can say what the log yields, and what was left
out and why, before anything trains; the fingerprint is the content of those rows. Executing writes
them. Rows that a snapshot has already are that snapshot. While the log stays as it was, what it
yields is remembered (preferences/mark.py).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.engines.contract import Progress
from llmops.errors import BadInput
from llmops.preferences.mark import Yield, Yields, mark
from llmops.preferences.report import Report
from llmops.preferences.snapshot import Snapshot, snapshots
from llmops.preferences.source import has_log
from llmops.runner.fingerprint import changes
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, Stage
from llmops.spec.preferences import PreferencesRecipe
from llmops.store.facts import flatten

if TYPE_CHECKING:
    from llmops.preferences.build import Built
    from llmops.preferences.judge import Candidate
    from llmops.serving.endpoint import Endpoint


class Preferences(Stage):
    """The stage kind of recipes that turn feedback into pairs."""

    kind = "preferences"

    def __init__(self) -> None:
        self._last: tuple[str, Built] | None = None
        """What was built last and under which mark: planning comes before executing."""

    def prepare(self, node: Node, inputs: Mapping[str, Any], context: Context) -> Prepared:
        recipe: PreferencesRecipe = node.spec
        waiting = tuple(pending.node for pending in inputs.get("after", ()))
        if waiting and not has_log(context.settings):
            return _nothing_yet(node, waiting)
        now = self._yield(node, context, pending=bool(waiting))
        if now.report.to_ask and not waiting:
            sampler(node, context)
        elif not waiting:
            refuse_few(now.report, recipe, node.declared.source.where(("builders",)))
        name = recipe.output.preferences
        known = snapshots(name, context.paths)
        found = next((one for one in reversed(known) if one.digest == now.digest), None)
        done = found is not None and not waiting and not now.report.to_ask
        self._last = None if done else self._last
        summary = now.report.summary()
        return Prepared(
            parts={"preferences": name, "rows": now.digest, "to ask": str(now.report.to_ask)},
            output=Pending(node.name, "preferences", name),
            found=found if done else None,
            pending_on=waiting,
            done=done,
            reasons=() if done else _reasons(known, recipe, now),
            summary=f"as the log is now, {summary}" if waiting else summary,
            notes=tuple(now.report.lines()),
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Snapshot:
        from llmops.preferences.save import save

        node = attempt.node
        built = self._built(node, context, pending=False)
        if built.to_ask:
            _ask(built.to_ask, attempt, context)
            built = self._built(node, context, pending=False)
        self._last = None
        # Feedback goes on coming in: what is written may be more than what was planned.
        refuse_few(built.report, node.spec, node.declared.source.where(("builders",)))
        return save(built, node.spec, context.paths, run=attempt.run)

    def _yield(self, node: Node, context: Context, *, pending: bool) -> Yield:
        """What the log yields; remembered, as long as the log stays as it was."""
        from llmops.preferences.rows import digest

        yields = Yields(context.paths)
        remembered = yields.get(node.spec, mark(context.settings, node.spec))
        if remembered is not None:
            return remembered
        built = self._built(node, context, pending=pending)
        found = Yield(digest=digest(built.rows), report=built.report)
        if self._last is not None:
            yields.put(node.spec, self._last[0], found)
        return found

    def _built(self, node: Node, context: Context, *, pending: bool) -> "Built":
        from llmops.feedback.ingest import fresh
        from llmops.preferences.build import build
        from llmops.preferences.source import read_log
        from llmops.preferences.verdicts import kept as verdicts

        if mark(context.settings, node.spec) is not None:
            # Before the mark is taken: it is what would change it, and have all be read again.
            fresh(context.settings, context.paths).dispose()
        before = mark(context.settings, node.spec)
        if self._last is not None and self._last[0] == before:
            return self._last[1]
        where = node.declared.source.where(("deployment",))
        log = read_log(context.settings, node.spec, where=where, pending=pending)
        kept = verdicts(context.paths) if node.spec.builders.judge is not None else None
        built = build(log, node.spec, kept)
        # Only a log that held still while it was read can be told to be the same later on.
        still = before is not None and before == mark(context.settings, node.spec)
        self._last = (before, built) if before is not None and still else None
        return built


def _nothing_yet(node: Node, waiting: tuple[str, ...]) -> Prepared:
    """Before the first answer was given: planned without importing what reads a log."""
    name = node.spec.output.preferences
    return Prepared(
        parts={"preferences": name, "rows": "pending"},
        output=Pending(node.name, "preferences", name),
        pending_on=waiting,
        reasons=("never run",),
        summary=f"the pairs of deployment {node.spec.deployment}; its log is empty yet",
    )


def _ask(found: Sequence["Candidate"], attempt: Attempt, context: Context) -> None:
    """Have a judge's verdict on all of them; what it said is kept, whatever happens."""
    from llmops.preferences.asking import ask_judge

    file, version = sampler(attempt.node, context)

    @contextmanager
    def answerer() -> Iterator[tuple["Endpoint", str]]:
        with context.servers.answering(file, [version], attempt.report) as answering:
            yield answering[version].endpoint, answering[version].model

    def report(what: str, done: int, total: int) -> None:
        attempt.report(Progress(what, step=done, total=total))

    judge = attempt.node.spec.builders.judge
    ask_judge(found, judge, answerer, context.paths, report)


def sampler(node: Node, context: Context) -> tuple[Path, str]:
    """Who gives the second answers to a judge: the deployment's file, and the version.

    Raises BadInput when there is no such deployment, variant, alias or version.
    """
    from llmops.serving.declared import find_deployment
    from llmops.serving.resolve import Resolver

    recipe: PreferencesRecipe = node.spec
    judge = recipe.builders.judge
    assert judge is not None
    where = node.declared.source.where(("builders", "judge", "sample_from"))
    named = node.declared.source.where(("deployment",))
    loaded = find_deployment(recipe.deployment, context.settings, where=named)
    file = loaded.path
    resolver = Resolver(loaded, context.registry, context.settings.root)
    resolved, models = resolver.resolve(), sorted(resolver.models())
    if judge.sample_from in resolved.variants:
        return file, resolved.variants[judge.sample_from].name
    aliased = len(models) == 1 and judge.sample_from in context.registry.aliases(models[0])
    text = f"{models[0]}@{judge.sample_from}" if aliased else judge.sample_from
    try:
        return file, str(context.registry.resolve(text).id)
    except BadInput as error:
        raise BadInput(
            f"nobody answers as `{judge.sample_from}`: {error.what}",
            where=where,
            fix="name a variant of the deployment: " + ", ".join(resolved.variants),
        ) from error


def _reasons(known: list[Snapshot], recipe: PreferencesRecipe, now: Yield) -> tuple[str, ...]:
    """What changed since the last snapshot: the recipe's keys, and what the log yields."""
    if not known:
        return ("never run",)
    last = known[-1].manifest
    told = recipe.model_dump(mode="json", exclude_none=True)
    before, after = (
        {key: str(value) for key, value in flatten(one).items()} for one in (last.recipe, told)
    )
    found, total = changes(before, after), now.report.total
    if now.report.to_ask:
        return (*found, "a judge has yet to be asked")
    if now.digest == last.digest:
        return found
    if total != last.report.total:
        return (*found, f"rows: {last.report.total:,} in {known[-1].id} -> {total:,}")
    return (*found, f"rows: {total:,}, others than in {known[-1].id}")


def refuse_few(report: Report, recipe: PreferencesRecipe, where: str) -> None:
    """Raises BadInput when too little is left to train on, saying where the rest went."""
    noun = "pairs" if recipe.layout == "pairs" else "judged answers"
    lost = report.why_few()
    if recipe.layout == "unpaired" and report.total and report.good in (0, report.total):
        kind = "good" if report.good else "bad"
        raise BadInput(
            f"all {report.total:,} judged answers are {kind}: KTO needs both kinds",
            where=where,
            fix=f"left out: {lost}" if lost else "collect thumbs of the other kind too",
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
