"""The record of an evaluation: report.json, the same for people as report.txt, and every answer
in items.jsonl. Written whole or not at all, below `.llmops/evaluations/`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmops.errors import BadInput, Failed
from llmops.evaluation.gate import Verdict, bounds, percent, points, relative
from llmops.evaluation.items import read_rows
from llmops.evaluation.measure import Measured, SuiteResult, perplexity_of
from llmops.evaluation.statistics import Interval
from llmops.registry.evidence import NO_GATE
from llmops.spec.source import display
from llmops.store.atomic import new_directory, write_json

REPORT, TEXT, ITEMS = "report.json", "report.txt", "items.jsonl"


@dataclass(frozen=True)
class Record:
    """What an evaluation found. id: of its evidence; backend: what answered; missing: what the
    gate lacks, in words."""

    id: str
    time: str
    version: str
    version_digest: str
    against: str | None
    backend: str
    sampling: Mapping[str, Any]
    confidence: float
    results: Sequence[SuiteResult]
    verdicts: Sequence[Verdict]

    @property
    def passed(self) -> bool:
        """An evaluation that asks for nothing shows nothing: it does not pass."""
        return bool(self.verdicts) and all(verdict.passed for verdict in self.verdicts)

    @property
    def missing(self) -> list[str]:
        if not self.verdicts:
            return [NO_GATE]
        return [verdict.words for verdict in self.verdicts if not verdict.passed]

    @property
    def measured(self) -> list[Measured]:
        return [one for result in self.results for one in result.measured]

    @property
    def summary(self) -> str:
        """One line: every metric, and whether the gate is satisfied."""
        figures = ", ".join(_short(one) for one in self.measured)
        if not self.verdicts:
            return figures
        met = sum(verdict.passed for verdict in self.verdicts)
        return f"{figures}; gate: {met} of {len(self.verdicts)} met"


def write(record: Record, folder: Path) -> None:
    """Raises Failed when the disk is full."""
    with new_directory(folder) as made:
        with (made / ITEMS).open("w", encoding="utf-8") as file:
            for row in _items(record):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        (made / TEXT).write_text("\n".join(lines(as_json(record))) + "\n", encoding="utf-8")
        write_json(made / REPORT, as_json(record))


def read(file: Path) -> dict[str, Any]:
    """A report, as written. Raises BadInput when there is none, Failed when it is damaged."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput("this report is gone", where=display(file)) from None
    except ValueError as error:
        raise Failed(f"this report is damaged: {error}", where=display(file)) from error
    assert isinstance(found, dict)
    return found


def read_items(file: Path) -> list[dict[str, Any]]:
    """The answers of the evaluation whose report is `file`. Raises BadInput when they are gone or
    damaged."""
    return [row for row, _ in read_rows(file.parent / ITEMS)]


def as_json(record: Record) -> dict[str, Any]:
    return {
        "format": 1,
        "id": record.id,
        "time": record.time,
        "version": record.version,
        "digest": record.version_digest,
        "against": record.against,
        "backend": record.backend,
        "sampling": dict(record.sampling),
        "confidence": record.confidence,
        "suites": [
            {
                "name": result.asked.suite.name,
                "digest": result.asked.digest,
                "items": len(result.asked.items),
                "sources": len(set(result.asked.sources)),
            }
            for result in record.results
        ],
        "metrics": [_metric(one) for one in record.measured],
        "gate": [
            {
                **verdict.requirement.model_dump(exclude_none=True),
                "passed": verdict.passed,
                "words": verdict.words,
            }
            for verdict in record.verdicts
        ],
        "passed": record.passed,
        "missing": record.missing,
        "summary": record.summary,
    }


def _metric(one: Measured) -> dict[str, Any]:
    parts = {"version": one.version, "baseline": one.baseline, "difference": one.difference}
    return {
        "suite": one.suite,
        "metric": one.metric,
        "kind": one.kind,
        **{name: None if found is None else _figures(found) for name, found in parts.items()},
        "notes": list(one.notes),
    }


def _figures(found: Interval) -> dict[str, Any]:
    """An end that is unbounded has no number in JSON."""
    finite = {
        k: None if v in (float("inf"), float("-inf")) else v for k, v in asdict(found).items()
    }
    return {**finite, "effective": round(found.effective, 1)}


def _items(record: Record) -> Iterator[dict[str, Any]]:
    for result in record.results:
        for position, item in enumerate(result.asked.items):
            ours, theirs = result.texts[position]
            yield {
                "suite": result.asked.suite.name,
                "id": item.id,
                "source": item.source,
                "messages": list(item.messages),
                "answer": None if ours is None else ours.text,
                "finished": None if ours is None else ours.finished,
                "baseline_answer": None if theirs is None else theirs.text,
                "values": {one.metric: one.values[position][0] for one in result.measured},
                "baseline_values": {one.metric: one.values[position][1] for one in result.measured},
            }


def _short(one: Measured) -> str:
    name = f"{one.suite}.{one.metric}"
    if one.kind == "perplexity":
        text = f"{name} {perplexity_of(one.version.estimate):.2f}"
        return text + (f" ({relative(one.difference.estimate)})" if one.difference else "")
    text = f"{name} {percent(one.version.estimate)}"
    if one.difference is not None:
        text += f" ({points(one.difference.estimate).removesuffix(' points')})"
    return text


def lines(report: Mapping[str, Any]) -> list[str]:
    """A report for people: what was asked, each metric with its interval, the gate."""
    against = f" against {report['against']}" if report["against"] else ""
    out = [f"{report['version']}{against}, {report['time']}, answered by {report['backend']}"]
    for suite in report["suites"]:
        alone = suite["items"] == suite["sources"]
        out.append(
            f"  suite {suite['name']}: {suite['items']:,} items"
            + ("" if alone else f" from {suite['sources']:,} sources")
        )
    out.append("")
    for one in report["metrics"]:
        out += _metric_lines(one, report["confidence"])
    out.append("")
    if not report["gate"]:
        out.append("no gate: this evaluation is no ground for a promotion")
    for verdict in report["gate"]:
        out.append(f"{'met    ' if verdict['passed'] else 'NOT MET'} {verdict['words']}")
    if report["gate"]:
        out.append("the gate passes" if report["passed"] else "the gate refuses")
    return out


def item_lines(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each item with what was answered, and which metrics hold."""
    for item in items:
        asked = item["messages"][-1]["content"] if item["messages"] else "(given text)"
        yield f"\n{item['suite']} {item['id']}: {asked}"
        for label, kind in (("", "values"), ("baseline_", "baseline_values")):
            if item[f"{label}answer"] is None:
                continue
            held = ", ".join(f"{name} {value:g}" for name, value in item[kind].items())
            yield f"  {label.replace('_', ' ')}{item[f'{label}answer'].strip()}  [{held}]"


def _metric_lines(one: Mapping[str, Any], confidence: float) -> Iterator[str]:
    perplexity = one["kind"] == "perplexity"
    name = f"{one['suite']}.{one['metric']}"
    level = f"{confidence:.0%} interval"
    for part, label in (("version", name), ("baseline", "  baseline")):
        found = _interval(one[part])
        if found is None:
            continue
        if perplexity:
            ends = bounds(found, lambda value: f"{perplexity_of(value):.3f}")
            yield f"{label:<28} {perplexity_of(found.estimate):8.3f}  {level} {ends}"
        else:
            yield f"{label:<28} {percent(found.estimate):>8}  {level} {bounds(found)}"
    change = _interval(one["difference"])
    if change is not None:
        shown = relative if perplexity else points
        ends = bounds(change, shown)
        yield f"{'  difference':<28} {shown(change.estimate):>8}  {level} {ends} ({change.method})"
    yield from (f"  note: {note}" for note in one["notes"])


def _interval(figures: Mapping[str, Any] | None) -> Interval | None:
    if figures is None:
        return None
    ends = {"low": float("-inf"), "high": float("inf")}
    values: dict[str, Any] = {k: ends.get(k) if v is None else v for k, v in figures.items()}
    return Interval(**values)
