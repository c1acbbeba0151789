"""The card of a snapshot, for people: what is in it, where it comes from, what was left out."""

import datetime

from llmops.preferences.report import Report
from llmops.preferences.snapshot import Manifest


def card(manifest: Manifest) -> str:
    """Markdown."""
    report = manifest.report
    lines = [f"# preferences:{manifest.name}@{manifest.number}", ""]
    if manifest.simulated:
        lines += [
            f"**Simulated**: feedback of simulated users went into {report.simulated:,} of "
            f"{report.total:,} rows. It says nothing about people.",
            "",
        ]
    lines += [
        f"{report.summary()}.",
        "",
        f"- layout: `{manifest.layout}`, made {manifest.created} from the log of deployment "
        f"`{manifest.deployment}`",
        f"- {_period(report)}, {report.raters:,} raters",
        f"- digest: `{manifest.digest}`",
        *(f"- {line}" for line in report.found()[1:]),
        "",
        "| builder | opinions | rows |",
        "| --- | ---: | ---: |",
        *_by_builder(report),
        "",
        "## Left out",
        "",
        *([f"- {drop}" for drop in report.drops] or ["nothing"]),
    ]
    if manifest.tombstones:
        lines += ["", "## Erased", ""]
        lines += [
            f"- {t.time}: {t.pairs:,} rows; before, its digest was `{t.before}`"
            for t in manifest.tombstones
        ]
    return "\n".join(lines) + "\n"


def _by_builder(report: Report) -> list[str]:
    names = dict.fromkeys([*report.opinions, *report.pairs])
    return [
        f"| {name} | {report.opinions.get(name, 0):,} | {report.pairs.get(name, 0):,} |"
        for name in names
    ]


def _period(report: Report) -> str:
    if report.first is None or report.last is None:
        return "no feedback"
    first, last = (
        datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC).strftime("%Y-%m-%d %H:%M")
        for ms in (report.first, report.last)
    )
    return f"feedback of {first} to {last} UTC"
