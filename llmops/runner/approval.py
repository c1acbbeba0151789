"""A stage that a person must agree to: what is asked, and what was said, in one file of the run.

The file is written when the stage has all else that it needs, so whoever is asked sees the
evidence; it is about one version, and is asked anew about another. Who answers: scheduling/
approvals.py, for `llmops approve` and the API.
"""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from llmops.errors import BadInput, GateRefused, Waiting
from llmops.runner.record import utc_now
from llmops.spec.grammar import Spec
from llmops.store.atomic import write_json

Decision = Literal["approve", "reject"]


class Approval(Spec):
    """what: what the stage would do; version, digest: with which version; evidence: what speaks
    for it; asked, decided: ISO 8601, UTC; decision: None while nobody has said anything."""

    run: str
    stage: str
    what: str
    version: str
    digest: str
    evidence: str = ""
    asked: str
    decision: Decision | None = None
    decided: str | None = None
    by: str = ""
    note: str = ""

    @property
    def said(self) -> str:
        """Who decided what, and why."""
        word = "approved" if self.decision == "approve" else "rejected"
        return f"{word} by {self.by}" + (f": {self.note}" if self.note else "")


def read_approval(file: Path) -> Approval | None:
    try:
        return Approval.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def heard(file: Path, digest: str, where: str = "") -> Approval | None:
    """The agreement to a version, by its digest; None when nobody has been asked about it.

    Raises Waiting while nobody has answered, GateRefused when a person said no.
    """
    approval = read_approval(file)
    if approval is None or approval.digest != digest:
        return None
    if approval.decision is None:
        raise waiting(approval, where)
    if approval.decision == "reject":
        raise GateRefused(f"{approval.what}: {approval.said}", where=where)
    return approval


def ask(file: Path, run: str, stage: str, **asked: str) -> Approval:
    """Ask for it. asked: what, version, digest, evidence."""
    approval = Approval(run=run, stage=stage, asked=utc_now(), **asked)
    write_json(file, approval.model_dump())
    return approval


def decide(file: Path, decision: Decision, *, by: str, note: str) -> Approval:
    """Answer what is asked; the same answer again changes nothing. The caller holds the run's
    lock. Raises BadInput when nothing is asked, or the answer was another."""
    approval = read_approval(file)
    if approval is None:
        raise BadInput(f"`{file.stem}` does not wait for a person", fix="llmops approve")
    if approval.decision == decision:
        return approval
    if approval.decision is not None:
        raise BadInput(f"{approval.what} was {approval.said}", where=f"{approval.decided}")
    values = {"decision": decision, "decided": utc_now(), "by": by, "note": note}
    approval = approval.model_copy(update=values)
    write_json(file, approval.model_dump())
    return approval


def waiting(approval: Approval, where: str = "") -> Waiting:
    return Waiting(
        f"a person must agree: {approval.what}",
        where=where,
        fix=f"llmops approve {approval.run} {approval.stage}",
    )
