"""The unmodified huggingface_hub client against the tests' own Hub (tests/hub), not the real one:
what the other tests of the Hub rest on."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, close_session, constants
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError
from huggingface_hub.utils import _http

from tests.hub.server import READER, TOKEN, Hub

WEIGHTS = b"weights" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
ID = "town/small"


@pytest.fixture
def api(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[HfApi]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
    close_session()
    yield HfApi(endpoint=hub.url, token=TOKEN)
    close_session()


def pushed(api: HfApi, kind: str = "model") -> str:
    api.create_repo(ID, private=True, repo_type=kind)
    files = {"config.json": b"{}", "README.md": b"# hello", "model.safetensors": WEIGHTS}
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return api.create_commit(ID, operations, commit_message="v1", repo_type=kind).oid


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_was_pushed_comes_back(api: HfApi, tmp_path: Path, kind: str) -> None:
    commit = pushed(api, kind)
    api.create_tag(ID, tag="v1", repo_type=kind)
    found = api.hf_hub_download(
        ID, "model.safetensors", revision="v1", repo_type=kind, cache_dir=tmp_path / "c"
    )
    assert Path(found).read_bytes() == WEIGHTS
    assert Path(found).resolve().name == SHA256
    assert Path(found).parent.name == commit
    assert [one.name for one in api.list_repo_refs(ID, repo_type=kind).tags] == ["v1"]


def test_it_tells_what_a_commit_holds(api: HfApi) -> None:
    commit = pushed(api)
    info = api.model_info(ID, files_metadata=True)
    large = next(one for one in info.siblings or [] if one.rfilename == "model.safetensors")
    assert info.sha == commit
    assert large.lfs is not None
    assert large.lfs.sha256 == SHA256
    assert {one.path for one in api.list_repo_tree(ID)} >= {"config.json", "model.safetensors"}
    assert [one.path for one in api.get_paths_info(ID, ["config.json"])] == ["config.json"]


def test_a_blob_that_is_there_is_not_sent_again(api: HfApi, hub: Hub) -> None:
    pushed(api)
    other = CommitOperationAdd("copy.safetensors", WEIGHTS)
    api.create_commit(ID, [other], commit_message="again")
    assert hub.received[SHA256] == len(WEIGHTS)


def test_a_large_file_comes_in_parts(api: HfApi, hub: Hub) -> None:
    hub.part = 3000
    pushed(api)
    assert hub.repos[f"models/{ID}"].file("main", "model.safetensors").content == WEIGHTS
    assert hub.count("PUT /lfs") == 3


def test_a_commit_on_what_has_moved_is_refused(api: HfApi, hub: Hub) -> None:
    commit = pushed(api)
    hub.repo(ID).add({"other.txt": b"x"})
    with pytest.raises(HfHubHTTPError, match="412"):
        api.create_commit(
            ID,
            [CommitOperationAdd("a.txt", b"a")],
            commit_message="mine",
            parent_commit=commit,
        )


def test_who_may_not_is_told_so(api: HfApi, hub: Hub) -> None:
    pushed(api)
    assert api.whoami()["name"] == "town"
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_tag(ID, tag="v2", token=READER)
    with pytest.raises(RepositoryNotFoundError):
        api.model_info(ID, token=False)
    with pytest.raises(HfHubHTTPError, match="401"):
        api.model_info(ID, token="hf_wrong")
    hub.repo(ID).gated = True
    with pytest.raises(GatedRepoError):
        api.hf_hub_download(ID, "config.json", revision="main")


def test_it_fails_as_it_is_told(api: HfApi, hub: Hub) -> None:
    pushed(api)
    hub.fault("GET", f"/api/models/{ID}", status=500)
    with pytest.raises(HfHubHTTPError, match="500"):
        api.model_info(ID)
    assert api.model_info(ID).private
