"""The evaluations of a project: listed and found. The reports themselves are report.py's."""

from pathlib import Path
from typing import Any

from llmops.errors import NotFound
from llmops.evaluation.report import read
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.store import Registry
from llmops.spec.suggest import did_you_mean
from llmops.store.paths import ProjectPaths

COLUMNS = ("evaluation", "time", "against", "gate", "found")


def evaluations(registry: Registry, paths: ProjectPaths) -> list[Evidence]:
    """Every evaluation of every model, oldest first."""
    log = EvidenceLog(paths)
    found = [one for name in registry.names() for one in log.of(name) if one.kind == "evaluation"]
    return sorted(found, key=lambda one: one.time)


def find(text: str, registry: Registry, paths: ProjectPaths) -> Evidence:
    """The evaluation of that id, with or without `evidence:`, or the newest one of a version.

    Raises NotFound, with the nearest id, when there is none.
    """
    known = evaluations(registry, paths)
    wanted = f"evidence:{text.removeprefix('evidence:')}"
    for one in reversed(known):
        if one.id == wanted:
            return one
    if "/" in text:
        raise NotFound(
            f"there is no evaluation `{text}`", fix=did_you_mean(wanted, [one.id for one in known])
        )
    version = str(registry.resolve(text).id)
    of_it = [one for one in known if one.version == version]
    if not of_it:
        fix = "llmops eval run SUITE --model REF --through DEPLOYMENT"
        raise NotFound(f"{version} has not been evaluated", fix=fix)
    return of_it[-1]


def report_file(evidence: Evidence, root: Path) -> Path:
    """Where the report of an evaluation lies. Raises NotFound for one that kept none."""
    if evidence.file is None:
        raise NotFound(f"{evidence.id} has no report")
    return root / evidence.file


def report_of(evidence: Evidence, root: Path) -> dict[str, Any]:
    """Raises BadInput when the report is gone, Failed when it is damaged."""
    return read(report_file(evidence, root))


def row(one: Evidence) -> tuple[str, ...]:
    """A line of the list."""
    gate = "passed" if one.passed else "refused" if one.asks else "none"
    return (
        one.id.removeprefix("evidence:"),
        one.time.partition(".")[0],
        one.against or "-",
        gate,
        one.summary.partition("; gate:")[0],
    )
