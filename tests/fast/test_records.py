"""Logs of records: what a crash leaves of a line, and damage elsewhere."""

from pathlib import Path

import pytest

from llmops.errors import Failed
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.store.paths import ProjectPaths

NOON = "2026-01-01T12:00:00+00:00"


def piece(name: str) -> Evidence:
    return Evidence(
        id=name, time=NOON, kind="override", version="town:v1", passed=True, summary="", digest="d"
    )


def test_what_a_crash_left_of_evidence_does_not_spoil_the_next(tmp_path: Path) -> None:
    log, file = EvidenceLog(ProjectPaths(tmp_path)), ProjectPaths(tmp_path).evidence("town")
    log.add(piece("first"))
    with file.open("a") as torn:
        torn.write('{"id": "tor')
    assert [one.id for one in log.of("town")] == ["first"]
    log.add(piece("second"))
    assert [one.id for one in log.of("town")] == ["first", "second"]


def test_evidence_damaged_elsewhere_is_told_with_its_line(tmp_path: Path) -> None:
    log, file = EvidenceLog(ProjectPaths(tmp_path)), ProjectPaths(tmp_path).evidence("town")
    log.add(piece("first"))
    file.write_text("garbage\n" + file.read_text())
    with pytest.raises(Failed, match="record of the evidence is damaged") as caught:
        log.of("town")
    assert caught.value.where.endswith("evidence.jsonl:1")


def test_the_newest_about_one_version_are_read_without_the_others(tmp_path: Path) -> None:
    log, file = EvidenceLog(ProjectPaths(tmp_path)), ProjectPaths(tmp_path).evidence("town")
    for name in "abc":
        log.add(piece(name).model_copy(update={"version": f"town:v{'acb'.index(name) % 2 + 1}"}))
    file.write_bytes(b"garbage\n" + file.read_bytes() + b'{"id": "town:v1')
    assert [one.id for one in log.of("town", "town:v1")] == ["a", "b"]
    assert log.of("town", "town:v3") == []
