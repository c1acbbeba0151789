"""What an experiment decided, kept: the report as a file, and a piece of evidence about the
version; and the same report as plain values for `llmops experiments`."""

import math
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from llmops.experiments.decide import Decision
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.runner.stage import Context
from llmops.store.atomic import write_json
from llmops.store.digest import sha256_json


def describe(decision: Decision) -> dict[str, Any]:
    """A decision with all that it stands on; intervals without an end have None there."""
    analysis = decision.analysis
    found: dict[str, Any] = {
        "experiment": decision.name,
        **decision.experiment.model_dump(),
        "verdict": decision.verdict,
        "why": decision.why,
        "variants": [],
    }
    if decision.pair is not None:
        found["versions"] = {
            "control": decision.pair.control_version,
            "candidate": decision.pair.candidate_version,
        }
    if analysis is None:
        return found
    sides = [asdict(analysis.control), asdict(analysis.candidate)]
    for side, weight in zip(sides, (1 - analysis.share, analysis.share), strict=True):
        side["interval"] = _ends(side["interval"])
        side["weight"] = weight
    return {
        **found,
        "variants": sides,
        "gain": analysis.gain,
        "interval": _ends(analysis.interval),
        "confidence": 1 - decision.experiment.alpha,
        "method": analysis.method,
        "blocks": analysis.blocks,
        "exposures": analysis.exposures,
        "since": dict(zip(("generation", "time"), analysis.since, strict=True))
        if analysis.since
        else None,
        "sample_ratio": {
            "p": analysis.ratio.p,
            "mismatch": analysis.ratio.mismatch,
            "unchecked": analysis.ratio.unchecked,
            "generations": [asdict(one) for one in analysis.ratio.counted],
        },
    }


def _ends(interval: tuple[float, float] | None) -> list[float | None] | None:
    """JSON knows no infinity."""
    if interval is None:
        return None
    return [end if math.isfinite(end) else None for end in interval]


def record(decision: Decision, context: Context, *, by: str) -> Evidence:
    """Keep a decision as evidence about the candidate's version, once."""
    assert decision.pair is not None
    version = context.registry.resolve(decision.pair.candidate_version)
    report = describe(decision) | {"digest": version.digest}
    digest = sha256_json(report)
    file = context.paths.experiments / decision.name / f"{digest[:16]}.json"
    evidence = Evidence(
        id=f"experiment-{decision.name}-{digest[:16]}",
        time=datetime.now(UTC).isoformat(timespec="milliseconds"),
        kind="experiment",
        version=decision.pair.candidate_version,
        version_digest=version.digest,
        against=decision.pair.control_version,
        passed=decision.won,
        summary=f"{decision.verdict}: {decision.why}",
        missing=[] if decision.won else [decision.why],
        file=context.relative(file),
        digest=digest,
        by=by,
    )
    write_json(file, report)
    log = EvidenceLog(context.paths)
    if all(one.id != evidence.id for one in log.of(version.name)):
        log.add(evidence)
    return evidence
