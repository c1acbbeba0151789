"""Evidence about versions: what was measured, what it showed, and what an override set aside.

`evidence.jsonl` beside a model's versions is a log of records (store/records.py); a version itself
never changes. The full report lies in a file of its own, named by `file`.
"""

from typing import Literal

from pydantic import Field

from llmops.registry.aliases import TIME
from llmops.registry.manifest import VersionId
from llmops.spec.grammar import Spec
from llmops.store.paths import ProjectPaths
from llmops.store.records import Records

NO_GATE = "the evaluation asks for nothing: its recipe has no `gate`"


class Evidence(Spec):
    """One piece. version: NAME:vN that it is about; version_digest: of the bytes that it was made
    on (None: a record of before that was kept); against: what it was compared with.

    passed: what a gate would make of it; missing: what it lacks, in words, when not. digest:
    sha256 of the report. by: the run or person. recipe, stage: of an evaluation, the file and the
    stage that asked; made_of: by key, what it was made with, for plans to compare.
    """

    id: str
    time: str = Field(description="ISO 8601, UTC", pattern=TIME)
    kind: Literal["evaluation", "experiment", "override"]
    version: str
    version_digest: str | None = None
    against: str | None = None
    passed: bool
    summary: str
    missing: list[str] = Field(default_factory=list)
    file: str | None = Field(None, description="the report, relative to the project")
    digest: str
    by: str = ""
    recipe: str = ""
    stage: str = ""
    made_of: dict[str, str] = Field(default_factory=dict)

    @property
    def asks(self) -> bool:
        """Whether anything was asked of the version: measured figures alone decide nothing."""
        return self.missing != [NO_GATE]


class EvidenceLog:
    """The evidence of all models of a project."""

    def __init__(self, paths: ProjectPaths) -> None:
        self._paths = paths

    def add(self, evidence: Evidence) -> None:
        log = self._log(VersionId.parse(evidence.version).name)
        with log.held():
            log.append(evidence)

    def of(self, name: str, version: str | None = None) -> list[Evidence]:
        """All about model `name`, or about one of its versions, oldest first.

        Raises Failed when the log is damaged other than at its end.
        """
        log = self._log(name)
        if version is None:
            found = log.read()
        else:
            about = [*log.newest(f'"{version}"'.encode())]
            found = [one for one in reversed(about) if one.version == version]
        # What a pull brings was written here after what is newer.
        return sorted(found, key=lambda one: one.time)

    def _log(self, name: str) -> Records[Evidence]:
        lock = self._paths.lock(f"evidence-{name}")
        return Records(self._paths.evidence(name), lock, Evidence, "evidence")
