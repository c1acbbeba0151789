"""Inference ids that give the right to rate, users without names, and the secret behind both."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.feedback.identity import Foreign, Identity, NotAnId, bare, load_identity

IDENTITY = Identity(b"s" * 32)


@pytest.fixture(autouse=True)
def _no_secret_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMOPS_SECRET", raising=False)


def test_an_id_tells_when_it_was_made() -> None:
    text = IDENTITY.new_id("town", 1_800_000_000.123)
    assert len(text) == 40
    assert IDENTITY.time_of(text, "town") == 1_800_000_000.123
    assert IDENTITY.time_of(f"chatcmpl-{text}", "town") == 1_800_000_000.123


def test_ids_sort_by_time_and_are_never_alike() -> None:
    ids = [IDENTITY.new_id("town", second) for second in range(1, 500)]
    assert sorted(ids) == ids
    assert len({IDENTITY.new_id("town", 1.0) for _ in range(1000)}) == 1000


def test_any_changed_character_spoils_an_id() -> None:
    text = IDENTITY.new_id("town")
    for place in range(40):
        other = "0" if text[place] != "0" else "1"
        with pytest.raises(Foreign, match="not given by this deployment"):
            IDENTITY.time_of(text[:place] + other + text[place + 1 :], "town")


def test_an_id_holds_for_one_deployment_and_one_secret() -> None:
    text = IDENTITY.new_id("town")
    with pytest.raises(Foreign):
        IDENTITY.time_of(text, "city")
    with pytest.raises(Foreign):
        Identity(b"t" * 32).time_of(text, "town")


@pytest.mark.parametrize("text", ["", "x", "0" * 39, "0" * 41, "w" * 40, "ſ" * 40, "0" * 39 + "\n"])
def test_what_has_not_the_shape_is_no_id(text: str) -> None:
    with pytest.raises(NotAnId, match="no inference id"):
        IDENTITY.time_of(text, "town")


def test_an_id_has_one_spelling() -> None:
    text = IDENTITY.new_id("town")
    assert bare(f"chatcmpl-{text}") == bare(f"cmpl-{text}") == bare(text) == text
    if text.upper() != text:
        with pytest.raises(NotAnId):
            IDENTITY.time_of(text.upper(), "town")


def test_a_user_is_hidden_but_always_the_same() -> None:
    assert IDENTITY.user("ann") == IDENTITY.user("ann") != IDENTITY.user("bob")
    assert IDENTITY.user("ann") != Identity(b"t" * 32).user("ann")
    assert len(IDENTITY.user("ann")) == 32


def test_the_secret_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / ".llmops" / "secret"
    assert load_identity(file) == load_identity(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["secret"]


def test_threads_that_make_the_secret_at_once_agree(tmp_path: Path) -> None:
    found: list[Identity] = []
    barrier = threading.Barrier(8)

    def load() -> None:
        barrier.wait()
        found.append(load_identity(tmp_path / "secret"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == ["secret"]


def test_processes_that_make_the_secret_at_once_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from llmops.feedback.identity import load_identity\n"
        "print(flush=True); sys.stdin.readline()\n"
        "print(load_identity(Path(sys.argv[1])).secret.hex())"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "secret")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    processes = [subprocess.Popen(argv, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    secrets = {process.communicate(timeout=30)[0] for process in processes}
    assert len(secrets) == 1
    assert len(bytes.fromhex(secrets.pop())) == 32


@pytest.mark.parametrize("text", ["", "\n", "xyz", "ab" * 31, "\xff" * 64])
def test_a_damaged_secret_is_not_replaced(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secret"
    file.write_text(text, encoding="utf-8")
    file.chmod(0o600)
    with pytest.raises(BadInput, match="damaged"):
        load_identity(file)
    assert file.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644, 0o666])
def test_a_secret_that_everybody_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "secret"
    load_identity(file)
    file.chmod(mode)
    with pytest.raises(BadInput, match="chmod 600"):
        load_identity(file)


def test_a_secret_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Failed, match="neither read nor made"):
        load_identity(tmp_path / "file" / "secret")


def test_the_environment_takes_the_files_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_SECRET", "e" * 32)
    assert load_identity(tmp_path / "secret") == Identity(b"e" * 32)
    assert os.listdir(tmp_path) == []
    monkeypatch.setenv("LLMOPS_SECRET", "short")
    with pytest.raises(BadInput, match="too short"):
        load_identity(tmp_path / "secret")
