"""Versions made of versions: what is registered, and what of a failure stays."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed, GateRefused
from llmops.publish.making import check_disk, compress_version, merge_version
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.spec.settings import load_settings
from llmops.storage.garbage import DAY, garbage
from llmops.store.paths import ProjectPaths
from tests.fast.lora_on_disk import some_factors, write_base, write_lora


@pytest.fixture
def registry(project: Path) -> Registry:
    """With town-base:v1, and town:v1, an adapter of rank 4 on it."""
    made = Registry(ProjectPaths(project))
    made.add(Draft(name="town-base", kind="full", stage="base"), write_base(project / "base"))
    draft = Draft(name="town", kind="adapter", stage="sft", base="town-base:v1")
    made.add(draft, write_lora(project / "adapter", some_factors(4)))
    return made


def test_a_merged_version_is_full_and_names_what_it_was_made_of(registry: Registry) -> None:
    made = merge_version("town:v1", registry, to="merged", environment=None).manifest
    assert (str(made.id), made.kind, made.stage, made.base) == ("merged:v1", "full", "merge", None)
    assert made.lineage.parent == "town:v1"
    assert made.metrics["merge_modules"] == 2
    assert [str(child.id) for child in registry.children(registry.resolve("town:v1").id)] == [
        "merged:v1"
    ]
    registry.verify(made)


def test_a_compressed_version_stays_on_its_base(registry: Registry) -> None:
    made = compress_version("town:v1", 2, registry, environment=None).manifest
    base = registry.resolve("town-base:v1")
    assert (str(made.id), made.lora_rank, made.lora_alpha) == ("town:v2", 2, 2)
    assert (made.base, made.base_digest, made.stage) == ("town-base:v1", base.digest, "compress")
    assert 0 < made.metrics["compress_error"] < 1


def test_too_large_an_error_registers_nothing(registry: Registry) -> None:
    with pytest.raises(GateRefused, match=r"--max-error allows 1\.00%"):
        compress_version("town:v1", 2, registry, largest=0.01, environment=None)
    assert [one.number for one in registry.versions("town")] == [1]


def test_what_was_made_has_no_evidence_of_its_own(registry: Registry) -> None:
    log = EvidenceLog(registry.paths)
    known = {"id": "e1", "time": "2026-11-01T00:00:00.000+00:00", "summary": "", "digest": ""}
    log.add(Evidence(**known, kind="evaluation", version="town:v1", passed=True))
    made = compress_version("town:v1", 2, registry, environment=None).manifest
    assert log.of("town", str(made.id)) == []


def test_a_full_version_has_nothing_to_merge(registry: Registry) -> None:
    with pytest.raises(BadInput, match="town-base:v1 is a full model"):
        merge_version("town-base:v1", registry, environment=None)


def test_a_disk_too_small_is_told_before_anything_is_written(registry: Registry) -> None:
    with pytest.raises(Failed, match=r"merging needs about 4611686\.0 TB of disk"):
        check_disk(registry, 1 << 62)


def test_a_damaged_adapter_is_not_merged(registry: Registry, project: Path) -> None:
    config = project / ".llmops/models/town/v1/adapter_config.json"
    config.chmod(0o644)
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 80'))
    with pytest.raises(Failed, match="town:v1 is damaged"):
        merge_version("town:v1", registry, environment=None)


def test_killed_in_the_middle_nothing_is_registered(registry: Registry, project: Path) -> None:
    """It dies when all is made and nothing is registered yet; then the same works."""
    code = "import os, signal, llmops.registry.store as store; from llmops.cli.app import main; "
    code += "store.Registry.add = lambda *a: os.kill(os.getpid(), signal.SIGKILL); main()"
    argv = [sys.executable, "-c", code, "models", "merge", "town:v1", "--no-engine-check"]
    done = subprocess.run(argv, cwd=project, env=os.environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (left,) = (project / ".llmops/models").glob(".*")
    assert left.name.startswith(".making-")
    for age, gone in ((7200, False), (2 * DAY, True)):  # another may be compared for hours
        for path in (*left.iterdir(), left):
            os.utime(path, (time.time() - age,) * 2)
        assert [one.path for one in garbage(registry, load_settings())] == [left] * gone
    assert [one.number for one in registry.versions("town")] == [1]
    assert str(merge_version("town:v1", registry, environment=None).manifest.id) == "town:v2"
