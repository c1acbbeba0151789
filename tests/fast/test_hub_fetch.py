"""Downloads from the tests' own Hub (tests/hub) into the user's cache: verified, gone on with,
and nothing of it seen before it is whole."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed, Interrupted, LlmopsError
from llmops.registry.hub.cache import cached, cached_file, hub_cache
from llmops.registry.hub.errors import HubAway
from llmops.registry.hub.listing import Listing, list_files
from llmops.registry.hub.transfer import fetch, with_downloads
from llmops.registry.locate import locate
from llmops.registry.store import Registry
from llmops.spec.reference import parse_reference
from llmops.store.digest import Digests
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.models_on_disk import write_adapter, write_full
from tests.hub.server import Hub, hub_running

ID = "org/small"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def weights(hub: Hub, tmp_path: Path) -> bytes:
    """Of a model at the Hub, among files that are none of the registry's."""
    files = contents(write_full(tmp_path / "m", fill=7))
    others = {"pytorch_model.bin": b"pickle", "run.py": b"import os", "README.md": b"# hello"}
    hub.repo(ID, files={**files, **others, "onnx/model.safetensors": b"x"})
    return files["model.safetensors"]


def listing(text: str = f"hub:{ID}") -> Listing:
    return list_files(parse_reference(text))


def bring(found: Listing) -> Path:
    return fetch(found, lambda there, whole: None, wait=lambda seconds: None)


def test_only_what_makes_a_model_is_listed_and_brought(hub: Hub, weights: bytes) -> None:
    found = listing()
    snapshot = bring(found)
    names = {"config.json", "tokenizer.json", "model.safetensors", "README.md"}
    assert {path.name for path in snapshot.iterdir()} == names
    assert (snapshot / "model.safetensors").read_bytes() == weights
    assert cached(parse_reference(f"hub:{ID}")) == (found.pinned, snapshot)


def test_what_was_brought_is_found_without_the_hub(
    hub: Hub, weights: bytes, tmp_path: Path
) -> None:
    bring(listing())
    asked = list(hub.asked)
    registry = Registry(ProjectPaths(tmp_path / "p"))
    one = locate(f"hub:{ID}", registry, tmp_path)
    assert one.digest == locate(f"path:{tmp_path / 'm'}", registry, tmp_path).digest
    assert hub.asked == asked


def test_a_listing_knows_what_is_to_come(hub: Hub, weights: bytes) -> None:
    found = listing()
    assert found.size == sum(file.size for file in found.files)
    bring(found)
    assert found.size == 0
    assert found.missing == []


def test_the_client_itself_finds_what_was_brought(hub: Hub, weights: bytes) -> None:
    from huggingface_hub import try_to_load_from_cache

    snapshot = bring(listing())
    found = try_to_load_from_cache(ID, "config.json", cache_dir=hub_cache())
    assert found == str(snapshot / "config.json")


def test_a_cut_download_goes_on_where_it_was(hub: Hub, weights: bytes) -> None:
    hub.fault("GET", "/model.safetensors", cut=50)
    snapshot = bring(listing())
    digest = (snapshot / "model.safetensors").resolve().name
    assert hub.sent[digest] == len(weights)
    assert (snapshot / "model.safetensors").read_bytes() == weights


def test_a_server_that_knows_no_ranges_is_heard_out(hub: Hub, weights: bytes) -> None:
    hub.fault("GET", "/model.safetensors", cut=50)
    hub.fault("GET", "/model.safetensors", status=200, body=weights)
    assert (bring(listing()) / "model.safetensors").read_bytes() == weights


def test_what_stopped_is_gone_on_with_by_the_next(hub: Hub, weights: bytes) -> None:
    def stop(there: int, whole: int) -> None:
        if there > 50:
            raise Interrupted("stop")

    found = listing()
    hub.fault("GET", "/model.safetensors", cut=60, times=9)
    with pytest.raises(Interrupted):
        fetch(found, stop)
    assert 0 < found.size < sum(file.size for file in found.files)
    hub.faults_end()
    bring(listing())
    digest = hashlib.sha256(weights).hexdigest()
    assert hub.sent[digest] == len(weights)


def test_what_is_not_as_the_hub_says_is_never_seen(hub: Hub, weights: bytes) -> None:
    hub.fault("GET", "/model.safetensors", flip=True)
    found = listing()
    with pytest.raises(Failed, match=r"`model.safetensors` did not come as the Hub says"):
        bring(found)
    assert not found.snapshot.exists()
    assert (bring(found) / "model.safetensors").read_bytes() == weights


def test_a_hub_that_stays_away_is_not_asked_for_ever(hub: Hub, weights: bytes) -> None:
    hub.fault("GET", "/model.safetensors", status=503, times=99)
    with pytest.raises(HubAway, match="answers 503"):
        bring(listing())
    assert sum("/model.safetensors" in one for one in hub.asked) == 4


def test_a_full_disk_is_said_before_anything_comes(
    hub: Hub, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = listing()
    monkeypatch.setattr("llmops.registry.hub.transfer.free_bytes", lambda: 10)
    with pytest.raises(Failed, match="are free"):
        bring(found)
    assert not any("resolve" in one and "safetensors" in one for one in hub.asked)


def test_two_at_once_bring_it_once(hub: Hub, weights: bytes) -> None:
    found = listing()
    threads = [threading.Thread(target=bring, args=(found,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hub.sent[hashlib.sha256(weights).hexdigest()] == len(weights)


def test_shards_are_those_of_the_index(hub: Hub) -> None:
    index = b'{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
    names = ["config.json", "tokenizer.json", "model-1.safetensors", "model-2.safetensors"]
    more = ["consolidated.safetensors", "model.safetensors"]
    files = dict.fromkeys(names + more, b"{}") | {"model.safetensors.index.json": index}
    hub.repo(ID, files=files)
    found = {file.name for file in listing().files}
    assert found == {*names, "model.safetensors.index.json"}


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"config.json": b"{}", "pytorch_model.bin": b"p"}, "its weights are a pickle"),
        ({"config.json": b"{}"}, r"no `model.safetensors` in it"),
        ({"a.jsonl": b"{}"}, "no model in it"),
        ({}, "no model in it"),
    ],
)
def test_a_repository_without_a_model_is_said_to_be_none(
    hub: Hub, files: dict[str, bytes], text: str
) -> None:
    hub.repo(ID, files=files)
    with pytest.raises(BadInput, match=text):
        listing()


def test_an_adapter_is_its_two_files(hub: Hub, tmp_path: Path) -> None:
    hub.repo(ID, files=contents(write_adapter(tmp_path / "a", "org/base")))
    found = listing()
    assert {file.name for file in found.files} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    assert found.texts["adapter_config.json"]["base_model_name_or_path"] == "org/base"


def test_a_file_of_data_comes_alone_with_its_card(hub: Hub, tmp_path: Path) -> None:
    rows = b'{"text": "a"}\n'
    files = {"data/train.jsonl": rows, "data/test.jsonl": b"", "README.md": b"# card"}
    commit = hub.repo("org/facts", "dataset").add(files)
    reference = parse_reference("hub:org/facts:data/train.jsonl")
    bring(list_files(reference))
    found = cached_file(reference, Digests(ProjectPaths(tmp_path / "p")))
    assert found.id == f"hub:org/facts@{commit}:data/train.jsonl"
    assert found.digest == hashlib.sha256(rows).hexdigest()
    assert found.path.read_bytes() == rows
    assert not (found.path.parent / "test.jsonl").exists()


def test_a_file_that_is_not_there_says_which_are(hub: Hub) -> None:
    hub.repo("org/facts", "dataset", files={"train.jsonl": b"{}"})
    with pytest.raises(BadInput, match=r"no file `no.jsonl` in it") as caught:
        listing("hub:org/facts:no.jsonl")
    assert "train.jsonl" in caught.value.fix


def test_a_private_repository_needs_who_may(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repo(ID, private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(LlmopsError, match="shows no such repository") as caught:
        listing()
    assert "HF_TOKEN" in caught.value.fix


KILLED = """
import os, sys
from llmops.registry.hub.listing import list_files
from llmops.registry.hub.transfer import fetch, with_downloads
from llmops.spec.reference import parse_reference
def told(there, whole):
    if there > 1_500_000:
        os.kill(os.getpid(), 9)
fetch(list_files(parse_reference(sys.argv[1])), told)
"""


def test_what_kill_left_is_gone_on_with(hub: Hub, weights: bytes) -> None:
    large = weights + b"\7" * 4_000_000  # several chunks; nobody opens it here
    hub.repo(ID, files={"model.safetensors": large})
    done = subprocess.run([sys.executable, "-c", KILLED, f"hub:{ID}"], check=False)
    assert done.returncode == -signal.SIGKILL
    found = listing()
    assert not found.snapshot.exists()
    sent = hub.count(f"GET /{ID}/resolve/{found.commit}/model.safetensors")
    assert found.size < len(large)
    assert (bring(found) / "model.safetensors").read_bytes() == large
    assert "Range" in {k.title() for k in hub.headers[-1]}
    assert hub.count(f"GET /{ID}/resolve/{found.commit}/model.safetensors") == sent + 1


def test_the_command_brings_it_and_says_where_it_is(
    hub: Hub, weights: bytes, llmops: Llmops
) -> None:
    done = llmops("models", "download", f"hub:{ID}")
    pinned, snapshot = cached(parse_reference(f"hub:{ID}"))
    assert done.stdout == f"{pinned}  {snapshot}\n", done.stderr
    assert llmops("models", "download", "town:v1").returncode == 2


@pytest.mark.parametrize("key", ["blobId", "sha"])
def test_what_a_hub_calls_an_id_leads_nowhere(hub: Hub, key: str) -> None:
    """Another's Hub may say anything; its ids become names of files here."""
    commit = hub.repo("org/facts", "dataset").add({"a.jsonl": b"{}"})
    said = {"rfilename": "a.jsonl", "size": 2, "blobId": "a" * 40}
    info = {"id": "org/facts", "sha": commit, "siblings": [said]}
    (info if key == "sha" else said)[key] = "../../../evil"
    hub.fault("GET", "/api/datasets", status=200, body=json.dumps(info).encode())
    with pytest.raises(Failed, match="neither a commit nor a sha"):
        listing("hub:org/facts:a.jsonl")


@pytest.mark.parametrize("body", [b"[" * 100_000, b"{" + b" " * 2000 + b"}"], ids=["deep", "long"])
def test_what_is_no_small_text_is_not_read(
    hub: Hub, weights: bytes, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if body.startswith(b"{"):
        monkeypatch.setattr("llmops.registry.hub.client._TEXT_LIMIT", 1000)
    hub.fault("GET", "config.json", status=200, body=body)
    with pytest.raises(Failed, match=r"client refuses: maximum recursion|has more than . MiB"):
        listing()


def test_a_file_without_an_end_is_not_heard_out(hub: Hub, weights: bytes) -> None:
    found, there = listing(), [0]
    hub.fault("GET", "model.safetensors", status=200, body=weights + b"x" * 10_000_000)
    with pytest.raises(Failed, match="did not come as the Hub says"):
        fetch(found, lambda done, whole: there.append(done), wait=lambda seconds: None)
    assert max(there) < 1_000_000


def test_the_token_does_not_follow_to_another_host(hub: Hub, weights: bytes) -> None:
    """As from the Hub to where it keeps large files."""
    found = listing()
    with hub_running() as other:
        other.repo(ID, files={"model.safetensors": weights})
        place = f"{other.url.replace('127.0.0.1', 'localhost')}/{ID}/resolve/main/model.safetensors"
        hub.fault("GET", "/model.safetensors", status=302, headers={"Location": place})
        assert bring(found)
        assert [{*headers} & {"authorization", "Authorization"} for headers in other.headers] == [
            set()
        ]


def test_an_index_does_not_lead_out_of_the_repository(hub: Hub) -> None:
    index = b'{"weight_map": {"a": "../../evil.safetensors"}}'
    files = {"config.json": b"{}", "../../evil.safetensors": b"x"}
    hub.repo(ID, files={**files, "model.safetensors.index.json": index})
    with pytest.raises(BadInput, match=r"no `../../evil.safetensors` in it"):
        listing()


def test_what_a_call_lacks_of_the_hub_is_brought_once(hub: Hub, tmp_path: Path) -> None:
    hub.repo("org/base", files=contents(write_full(tmp_path / "b")))
    hub.repo("org/lora", files=contents(write_adapter(tmp_path / "l", "org/base")))
    registry = Registry(ProjectPaths(tmp_path / "p"))
    told: list[str] = []
    found = with_downloads(
        lambda: locate("hub:org/lora", registry, tmp_path), lambda name, *_: told.append(name)
    )
    assert found.base == f"hub:org/base@{hub.repo('org/base').resolve('main')}"
    assert set(told) == {"hub:org/lora@main", "hub:org/base@main"}


def test_what_the_hub_has_not_either_is_said_with_both_reasons(hub: Hub, tmp_path: Path) -> None:
    registry = Registry(ProjectPaths(tmp_path / "p"))
    with pytest.raises(BadInput, match=r"Face cache: no .*; .* shows no such repository"):
        with_downloads(lambda: locate("hub:org/no", registry, tmp_path), lambda *_: None)


def test_an_adapter_is_added_with_a_base_that_comes_from_the_hub(
    hub: Hub, weights: bytes, tmp_path: Path, llmops: Llmops
) -> None:
    adapter = write_adapter(tmp_path / "a")
    done = llmops("models", "add", "town", adapter, "--base", f"hub:{ID}", "--no-engine-check")
    assert done.stdout == "town:v1\n", done.stderr
    assert cached(parse_reference(f"hub:{ID}"))[1].is_dir()
