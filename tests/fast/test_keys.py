"""API keys: made, listed, revoked, and recognised by gateways."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.feedback.keys import SCOPES, KeyRing, create_key, list_keys, revoke_key
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path)


def test_a_key_is_recognised_by_its_text_alone(paths: ProjectPaths) -> None:
    text = create_key(paths, "web", ["chat"])
    ring = KeyRing(paths)
    found = ring.find(text)
    assert found is not None
    assert found.name == "web"
    assert text.startswith("llmops_")
    for other in ("", text[:-1], text + "x", text.upper(), found.hash, "\ud800"):
        assert ring.find(other) is None


def test_only_a_hash_is_kept_and_only_for_the_owner(paths: ProjectPaths) -> None:
    text = create_key(paths, "web", ["chat"])
    assert text not in paths.keys.read_text(encoding="utf-8")
    assert text.removeprefix("llmops_") not in paths.keys.read_text(encoding="utf-8")
    assert stat.S_IMODE(paths.keys.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["chat"], {"chat"}),
        (["admin"], set(SCOPES)),
    ],
)
def test_a_key_allows_its_scopes(paths: ProjectPaths, scopes: list[str], allowed: set[str]) -> None:
    create_key(paths, "web", scopes)
    (key,) = list_keys(paths)
    assert {scope for scope in SCOPES if key.allows(scope)} == allowed


def test_a_key_may_be_for_one_model(paths: ProjectPaths) -> None:
    create_key(paths, "web", ["promote:town", "push:sea", "read"])
    (key,) = list_keys(paths)
    assert key.scopes == ["read", "promote:town", "push:sea"]
    assert key.allows("promote", "town")
    assert not key.allows("promote", "sea")
    assert not key.allows("promote")


@pytest.mark.parametrize("scope", ["read:town", "promote:", "promote:Town", "promote:a:b"])
def test_not_every_scope_can_be_of_a_model(paths: ProjectPaths, scope: str) -> None:
    with pytest.raises(BadInput, match="is no scope"):
        create_key(paths, "web", [scope])


def test_a_key_of_before_keeps_what_it_allowed(paths: ProjectPaths) -> None:
    text = create_key(paths, "web", ["chat"])
    (kept,) = json.loads(paths.keys.read_text(encoding="utf-8"))
    kept["scopes"] = ["chat", "feedback"]
    paths.keys.write_text(json.dumps([kept]), encoding="utf-8")
    found = KeyRing(paths).find(text)
    assert found is not None
    assert found.scopes == ["chat"]
    with pytest.raises(BadInput, match="no scope"):
        create_key(paths, "app", ["feedback"])


def test_a_ring_follows_the_file(paths: ProjectPaths) -> None:
    ring = KeyRing(paths)
    assert ring.find("llmops_x") is None
    text = create_key(paths, "web", ["chat"])
    assert ring.find(text) is not None
    revoke_key(paths, "web")
    assert ring.find(text) is None
    assert not list_keys(paths)[0].allows("chat")


def test_a_ring_whose_file_goes_away_lets_nobody_in(paths: ProjectPaths) -> None:
    text = create_key(paths, "web", ["chat"])
    ring = KeyRing(paths)
    assert ring.find(text) is not None
    paths.keys.unlink()
    assert ring.find(text) is None


@pytest.mark.parametrize("damage", ["", "{", "[1]", '[{"name": "web"}]'])
def test_a_damaged_file_lets_nobody_in(paths: ProjectPaths, damage: str) -> None:
    text = create_key(paths, "web", ["chat"])
    ring = KeyRing(paths)
    paths.keys.write_text(damage, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(Failed, match="damaged"):
            ring.find(text)
    with pytest.raises(Failed, match="damaged"):
        create_key(paths, "app", ["chat"])


def test_a_revoked_name_may_be_used_again(paths: ProjectPaths) -> None:
    old = create_key(paths, "web", ["chat"])
    with pytest.raises(BadInput, match="already"):
        create_key(paths, "web", ["chat"])
    revoke_key(paths, "web")
    new = create_key(paths, "web", ["chat"])
    assert KeyRing(paths).find(old) is None
    assert KeyRing(paths).find(new) is not None
    assert [key.revoked is None for key in list_keys(paths)] == [False, True]


@pytest.mark.parametrize(("name", "scopes"), [("", ["chat"]), ("a b", ["chat"]), ("web", [])])
def test_a_key_needs_a_name_and_a_scope(paths: ProjectPaths, name: str, scopes: list[str]) -> None:
    with pytest.raises(BadInput):
        create_key(paths, name, scopes)
    assert not paths.keys.exists()


def test_keys_made_at_once_are_all_kept(paths: ProjectPaths) -> None:
    code = (
        "import sys; from pathlib import Path; from llmops.feedback.keys import create_key\n"
        "from llmops.store.paths import ProjectPaths\n"
        "for n in range(5): create_key(ProjectPaths(Path(sys.argv[1])), sys.argv[2] + str(n), "
        "['chat'])"
    )
    argv = [sys.executable, "-c", code, str(paths.root)]
    processes = [subprocess.Popen([*argv, name]) for name in "abc"]
    assert [process.wait(timeout=30) for process in processes] == [0, 0, 0]
    assert len(list_keys(paths)) == 15


def test_the_command_prints_a_key_once(llmops: Llmops, project: Path) -> None:
    made = llmops("keys", "create", "web", "--scope", "chat", "--json")
    printed = json.loads(made.stdout)
    assert printed["scopes"] == ["chat"]
    assert KeyRing(ProjectPaths(project)).find(printed["key"]) is not None
    listed = llmops("keys", "list", "--json").stdout
    assert json.loads(listed)[0]["name"] == "web"
    assert printed["key"] not in listed
    assert "hash" not in listed


def test_the_command_refuses_plainly(llmops: Llmops) -> None:
    wrong = llmops("keys", "create", "web", "--scope", "chta")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "did you mean `chat`" in wrong.stderr
    unknown = llmops("keys", "revoke", "web")
    assert unknown.returncode == 2
    assert "no key `web`" in unknown.stderr
