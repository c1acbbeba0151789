"""`llmops models push | pull | outbox`. The far side is the tests' own Hub (tests/hub)."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session, snapshot_download
from typer.testing import CliRunner, Result

from llmops.cli.models import app
from llmops.errors import BadInput, Failed
from tests.fast.remote_machines import ID, add, machine
from tests.hub.server import TOKEN, Hub

Models = Callable[..., Result]


@pytest.fixture
def models(project: Path, hub: Hub) -> Iterator[Models]:
    """`llmops models ...` in a project that has town:v1 and town:v2, and declares its Hub."""
    (project / "llmops.toml").write_text('[hub]\norganization = "acme"\n')
    registry = machine(project)
    add(registry)
    add(registry, 1)
    yield lambda *args: CliRunner().invoke(app, list(args))
    close_session()


def test_a_version_goes_to_where_it_is_declared(models: Models, hub: Hub) -> None:
    result = models("push", "town:v1")
    assert result.stdout == f"town:v1 is at {ID}\n"
    assert TOKEN not in result.output
    assert models("push", "town:v1").stdout == f"town:v1 was already at {ID}\n"
    assert models("push", "town", "--to", "else/where").exit_code == 0
    assert set(hub.repo("else/where").tags) == {"v2"}


def test_show_tells_where_a_version_lies(models: Models) -> None:
    models("push", "town:v1")
    assert json.loads(models("show", "town:v1", "--json").stdout)["hub"] == f"{ID}@v1"
    assert json.loads(models("show", "town:v2", "--json").stdout)["hub"] is None


def test_all_versions_go_oldest_first(models: Models, hub: Hub) -> None:
    models("push", "town", "--all")
    assert hub.repo(ID).messages[-2:] == ["town:v1", "town:v2"]
    with pytest.raises(BadInput, match="--all pushes all versions of a model"):
        raise models("push", "town:v1", "--all").exception or AssertionError


def test_what_was_pushed_loads_as_any_repository(models: Models, hub: Hub, tmp_path: Path) -> None:
    """By the Hub's own client, as vLLM, peft and transformers call it."""
    models("push", "town", "--all")
    folder = Path(snapshot_download(ID, revision="v1", endpoint=hub.url, local_dir=tmp_path / "d"))
    assert json.loads((folder / "adapter_config.json").read_text())["peft_type"] == "LORA"
    assert (folder / "adapter_model.safetensors").is_file()


def test_a_pull_says_what_it_is_called_there(models: Models, project: Path, hub: Hub) -> None:
    models("alias", "town:v2", "production")
    models("push", "town", "--all")
    other = project.parent / "other"
    other.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(other)
        result = models("pull", "town@production", "--from", ID)
        assert result.stdout == "town:v2 is here\n"
        assert "calls it production" in result.stderr
        there = json.loads(models("history", "town", "--hub", "--json").stdout)
        assert [(move["alias"], move["version"]) for move in there] == [("production", "town:v2")]
        models("pull", "town", "--aliases")  # from where it came before
    assert machine(other).aliases("town") == {"production": 2}


def test_a_push_can_wait(models: Models, hub: Hub) -> None:
    id = models("push", "town", "--later").stdout.strip()
    assert hub.asked == []
    assert [one["id"] for one in json.loads(models("outbox", "list", "--json").stdout)] == [id]
    assert id in models("outbox", "list").stdout
    assert f"town:v2 is at {ID}" in models("outbox", "send").stdout
    assert "nothing waits" in models("outbox", "list").output


def test_where_nothing_is_declared_it_says_what_to_do(models: Models, project: Path) -> None:
    (project / "llmops.toml").write_text("")
    error = models("push", "town").exception
    assert isinstance(error, BadInput)
    assert 'repositories.town = "ORG/REPO"' in error.fix


def test_a_token_that_is_not_taken_says_how_to_log_in(models: Models, hub: Hub) -> None:
    hub.users.clear()
    error = models("push", "town").exception
    assert isinstance(error, Failed)
    assert "hf auth login" in error.fix
    assert TOKEN not in str(error)
