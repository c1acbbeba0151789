"""The report as one HTML page: it needs no script, no network and no other file, and follows the
reader's choice of light or dark."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from llmops.registry.manifest import Manifest
from llmops.registry.store import Registry
from llmops.report.advice import advice
from llmops.report.trained import Trained, trained
from llmops.runner.record import RunRecord, StageRecord
from llmops.store.paths import ProjectPaths
from llmops.ui.curve import Line, curve
from llmops.ui.figure import number, size, span
from llmops.ui.markup import Child, Html, tag

CURVES = (
    ("Preference accuracy", "accuracy"),
    ("Reward margin", "margin"),
    ("Log-probability of the chosen answers", "chosen"),
    ("Gradient norm", "grad_norm"),
    ("Learning rate", "learning_rate"),
    ("Tokens per second", "tokens_per_s"),
)
PEAKS = (("memory_bytes", "of memory"), ("device_memory_bytes", "of the device's memory"))
SHORT = 12
"""Characters of a digest that are shown."""


def report(paths: ProjectPaths, record: RunRecord) -> Html:
    """The page of one run, as its files tell it now."""
    registry = Registry(paths)
    parts = [_stage(record, stage, paths, registry) for stage in record.stages]
    return page(record.id, [_title(record), _stages(record), parts])


def page(title: str, body: Child, style: str = "") -> Html:
    """A page that stands alone. style: CSS beside that of all of them."""
    common = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Html(common + style)),
    )
    return Html(f"<!doctype html>\n{tag('html', head, tag('body', body), lang='en')}\n")


def _title(record: RunRecord) -> Html:
    told = [record.state, record.target, *record.overrides, f"begun {record.started}"]
    told += [f"ended {record.ended}"] if record.ended else []
    return tag("header", tag("h1", f"Run {record.id}"), tag("p", " · ".join(told), class_="quiet"))


def _stages(record: RunRecord) -> Html:
    rows = [
        (one.name, one.kind, one.shown, one.output or "", span(one.seconds), one.error or "")
        for one in record.stages
    ]
    return tag(
        "section",
        tag("h2", "Stages"),
        table(("stage", "kind", "state", "made", "took", "why"), rows),
    )


def table(titles: Sequence[str], rows: Sequence[Sequence[Child]]) -> Html:
    head = tag("tr", [tag("th", title) for title in titles])
    return tag("table", head, [tag("tr", [tag("td", cell) for cell in row]) for row in rows])


def _stage(
    record: RunRecord, stage: StageRecord, paths: ProjectPaths, registry: Registry
) -> Html | None:
    """What there is to tell of one stage beyond its row; None for nothing."""
    made = registry.known(stage.output)
    found = trained(record, stage, paths, registry)
    if found is None and (made is None or stage.attempt is None):
        return None
    return tag(
        "section",
        tag("h2", stage.name),
        tag("p", stage.error, class_="bad") if stage.error else None,
        _learned(found) if found else None,
        _made(made) if made else None,
    )


def _learned(stage: Trained) -> list[Child]:
    seen = [f"step {alarm.step}: {alarm.kind}: {alarm.text}" for alarm in stage.alarms]
    told = [*seen, *stage.warnings]
    try_next = [
        tag("li", _code(one.what), tag("span", f": {one.why}", class_="quiet"))
        for one in advice(stage)
    ]
    return [
        tag("p", _summary(stage)),
        tag("div", tag("strong", "Seen while it trained"), _list(told), class_="seen")
        if told
        else tag("p", "Nothing went wrong that the watch knows.", class_="quiet"),
        tag("h3", "Curves"),
        tag("div", _curves(stage), class_="ll-curves"),
        [tag("h3", "What to try next"), tag("ul", try_next)] if try_next else None,
        _against(stage.made, stage.before) if stage.made and stage.before else None,
    ]


def _code(text: str) -> list[Child]:
    """What stands between backticks is code."""
    return [tag("code", part) if at % 2 else part for at, part in enumerate(text.split("`"))]


def _list(lines: Sequence[str]) -> Html:
    return tag("ul", [tag("li", line) for line in lines])


def _summary(stage: Trained) -> str:
    """How far it came, what was best, what it took."""
    last = int(stage.items[-1]["step"])
    told = [f"{last:,} of {stage.total:,} steps"]
    if stage.made is not None and stage.made.lineage.stopped:
        told = [stage.made.lineage.stopped]
    if stage.best is not None:
        step, loss = stage.best
        told.append(f"lowest validation loss {number(loss)} at step {step:,.0f}")
    for name, of in PEAKS:
        if found := stage.points(name):
            told.append(f"at most {size(max(value for _, value in found))} {of}")
    return "; ".join(told)


def _curves(stage: Trained) -> list[Html]:
    end = stage.total if stage.running else float(stage.items[-1]["step"])
    lines = [Line("training", stage.points("loss"))]
    if stage.best is not None:
        lines.append(Line("validation", stage.points("eval_loss")))
        lines.append(Line(f"best, step {stage.best[0]:,.0f}:", [stage.best]))
    drawn = [curve("Loss", lines, total=end)]
    for title, name in CURVES:
        if points := stage.points(name):
            drawn.append(curve(title, [Line(title, points)], total=end))
    return drawn


def _against(made: Manifest, before: Manifest) -> list[Child]:
    """Figures beside those of the version that the same recipe made before."""
    rows = []
    for name, value in sorted(made.metrics.items()):
        old = before.metrics.get(name)
        change = "" if old is None else f"{value - old:+.3g}"
        rows.append((name, number(value), number(old), change))
    changed = sorted(
        name
        for name in made.parts.keys() | before.parts.keys()
        if made.parts.get(name) != before.parts.get(name)
    )
    told = f"Changed since: {', '.join(changed)}." if changed else "Made from the same parts."
    return [
        tag("h3", f"Against {before.id}"),
        tag("p", told, class_="quiet"),
        table(("figure", str(made.id), str(before.id), "change"), rows),
    ]


def _made(made: Manifest) -> list[Child]:
    line = made.lineage
    rows: list[tuple[str, Child]] = [
        ("made", f"{made.id}, {made.kind}, sha256 {made.digest[:SHORT]}"),
        ("from", line.parent or "scratch"),
        ("engine", f"{line.engine} {line.engine_version}"),
    ]
    rows += [
        ("data", f"{one.path}, {one.samples:,} samples, sha256 {one.sha256[:SHORT]}")
        for one in line.data
    ]
    options = _flat(line.resolved.get("args") or {})
    return [
        tag("h3", "Inputs and output"),
        table(("", ""), rows),
        [tag("h3", "Options"), tag("p", tag("code", options))] if options else None,
    ]


def _flat(options: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())
