"""Each finding of `llmops doctor` says what was found and what to do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.environments import doctor, machine
from llmops.environments.doctor import Finding, diagnose
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.spec.settings import load_settings
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_full


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with a cache of its own."""
    monkeypatch.setenv("LLMOPS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def found(start: Path, check: str) -> Finding:
    return next(finding for finding in diagnose(start) if finding.check == check)


def test_every_warning_says_what_to_do(start: Path) -> None:
    findings = list(diagnose(start))
    assert {f.check for f in findings} >= {"python", "memory", "disk", "devices", "registry"}
    assert all(bool(f.fix) == (f.level != "ok") for f in findings)


def test_new_project_has_no_errors_and_stays_untouched(start: Path) -> None:
    assert [f for f in diagnose(start) if f.level == "error"] == []
    assert list(start.iterdir()) == []
    assert not (start.parent / "cache").exists()


def test_missing_engine_is_a_warning(start: Path) -> None:
    finding = found(start, "engine vllm")
    assert finding.level == "warn"
    assert finding.fix == "llmops engines install vllm"


def test_own_python_that_is_gone_is_an_error(start: Path) -> None:
    (start / "llmops.toml").write_text('[engines.vllm]\npython = "gone/bin/python"\n')
    finding = found(start, "engine vllm")
    assert finding.level == "error"
    assert "does not exist" in finding.what


def test_other_engine_version_is_a_warning(start: Path) -> None:
    root = start / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(root)], check=True)
    folder = next(root.glob("lib/python*/site-packages")) / "vllm-0.33.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.33.0\n")
    (start / "llmops.toml").write_text('[engines.vllm]\npython = "env/bin/python"\n')
    finding = found(start, "engine vllm")
    assert finding.level == "warn"
    assert finding.what.startswith("0.33.0, your own")
    assert "tested with vllm 0.32" in finding.what


def test_invalid_settings_are_an_error_with_their_key(start: Path) -> None:
    (start / "llmops.toml").write_text('[engines.vlm]\npython = "x"\n')
    finding = found(start, "llmops.toml")
    assert finding.level == "error"
    assert "engines.vlm" in finding.what
    assert "vllm" in finding.fix


def test_old_python_is_an_error() -> None:
    assert doctor.python_version((3, 10)).level == "error"
    assert doctor.python_version((3, 11)).level == "ok"


@pytest.mark.parametrize(
    ("finding", "level"),
    [
        (doctor.memory(16_000_000_000, 3_000_000_000), "warn"),
        (doctor.memory(16_000_000_000, 5_000_000_000), "ok"),
        (doctor.processor(1), "warn"),
        (doctor.processor(2), "ok"),
        (doctor.project_disk(Path("/"), 1_000_000_000), "warn"),
        (doctor.project_disk(Path("/"), 3_000_000_000), "ok"),
    ],
)
def test_what_is_scarce_is_a_warning(finding: Finding, level: str) -> None:
    assert finding.level == level


def test_cache_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    finding = doctor.cache_writable(tmp_path / "file" / "cache")
    assert finding.level == "error"
    assert "LLMOPS_CACHE" in finding.fix


def smi(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that stands where nvidia-smi would, on PATH before all others."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_gpu_is_read_from_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, "echo 'NVIDIA H200, 143771, 143000, 570.86.15'", monkeypatch)
    assert machine.gpus() == [
        machine.Gpu("NVIDIA H200", 143771 * 2**20, 143000 * 2**20, "570.86.15")
    ]


def test_gpu_beside_cpu_builds_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi(tmp_path, "echo 'NVIDIA H200, 143771, 143000, 570.86.15'", monkeypatch)
    assert [f.level for f in doctor.devices(gpu_builds=False)] == ["ok", "warn"]
    assert [f.level for f in doctor.devices(gpu_builds=True)] == ["ok"]


def test_driver_that_fails_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, "echo 'Failed to initialize NVML'; exit 18", monkeypatch)
    (finding,) = doctor.devices(gpu_builds=True)
    assert finding.level == "warn"
    assert "Failed to initialize NVML" in finding.what


def test_damaged_version_is_an_error(start: Path) -> None:
    models = Registry(ProjectPaths(start))
    draft = Draft(name="town", kind="full", stage="sft")
    manifest = models.add(draft, write_full(start / "source"))
    assert found(start, "registry").level == "ok"
    file = models.directory(manifest) / next(iter(manifest.files))
    file.chmod(0o644)
    file.write_bytes(b"other")
    assert found(start, "registry").level == "error"


def test_what_is_declared_of_a_model_that_is_not_here_is_a_warning(start: Path) -> None:
    Registry(ProjectPaths(start)).add(
        Draft(name="town", kind="full", stage="sft"), write_full(start / "source")
    )
    every, typo = ('[aliases."*"]\nbest.needs = []\n', "[aliases.twon]\nbest.needs = []\n")
    (start / "llmops.toml").write_text(every + typo)
    (finding,) = doctor.policies(load_settings(start))
    assert (finding.level, finding.fix) == ("warn", "did you mean `town`?")


def test_command_prints_json_and_exits_with_the_worst(start: Path) -> None:
    (start / "llmops.toml").write_text("nonsense = 1\n")
    run = "from llmops.cli.doctor import command; import typer; typer.run(command)"
    done = subprocess.run(
        [sys.executable, "-c", run, "--json"], cwd=start, capture_output=True, text=True
    )
    levels = {finding["check"]: finding["level"] for finding in json.loads(done.stdout)}
    assert levels["llmops.toml"] == "error"
    assert done.returncode == 1
