"""Plans and runs whose base is at the tests' own Hub (tests/hub), of a stage without an engine."""

import hashlib
import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from llmops.errors import BadInput, Failed, Interrupted
from llmops.registry.hub.cache import repository
from llmops.registry.hub.listing import list_files
from llmops.registry.hub.transfer import fetch
from llmops.registry.locate import locate
from llmops.registry.manifest import Draft
from llmops.runner.execute import execute
from llmops.runner.plan import Plan, PlannedStage, describe, make_plan
from llmops.runner.plan_text import plan_text
from llmops.runner.progress import PlainReporter
from llmops.runner.record import find_run
from llmops.runner.stage import Context, Stage
from llmops.runner.termination import termination_as_interrupt
from llmops.spec.reference import parse_reference
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.stages.train import Train
from tests.fast.copying_stage import RECIPE, Copying, tiny_model
from tests.fast.models_on_disk import write_adapter, write_full
from tests.hub.server import Hub

ID = "org/small"
STAGES: dict[str, Stage] = {**KINDS, "train": Copying()}


@pytest.fixture
def recipe(project: Path, hub: Hub, tmp_path: Path) -> Path:
    files = {file.name: file.read_bytes() for file in tiny_model(tmp_path / "m", "a").iterdir()}
    hub.repo(ID, files=files)
    (project / "r.yaml").write_text(RECIPE.replace("path:seed", f"hub:{ID}"), encoding="utf-8")
    return project / "r.yaml"


def plan(recipe: Path) -> Plan:
    return make_plan(recipe, [], context=Context(load_settings()), kinds=STAGES)


def run(planned: Plan) -> str:
    told = io.StringIO()
    context = Context(load_settings())
    execute(planned, context=context, kinds=STAGES, reporter=PlainReporter(told))
    return told.getvalue()


def base_of(planned: Plan) -> dict[str, Any]:
    found: dict[str, Any] = describe(planned, Context(load_settings()))["stages"][0]["inputs"]
    return dict(found["base"])


def test_a_plan_says_what_it_would_download_and_leaves_nothing(recipe: Path, hub: Hub) -> None:
    planned = plan(recipe)
    base = base_of(planned)
    commit = hub.repo(ID).resolve("main")
    assert planned.stages[0].state == "pending"
    assert base["id"] == f"hub:{ID}@{commit}"
    assert base["download_bytes"] == sum(len(f.content) for f in hub.repo(ID).files().values())
    assert "is downloaded first" in plan_text(describe(planned, Context(load_settings())))
    assert not repository(parse_reference(f"hub:{ID}")).exists()


def test_a_plan_says_when_there_is_no_room_and_the_run_brings_nothing(
    recipe: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("runner.downloads", "registry.hub.transfer"):
        monkeypatch.setattr(f"llmops.{user}.free_bytes", lambda: 10)
    planned = plan(recipe)
    assert "where only 0 kB are free" in plan_text(describe(planned, Context(load_settings())))
    with pytest.raises(Failed, match="of disk, 0 kB are free"):
        run(planned)


def test_a_run_downloads_its_base_and_the_next_asks_nobody(recipe: Path, hub: Hub) -> None:
    assert "downloading" in run(plan(recipe))
    asked = len(hub.asked)
    again = plan(recipe)
    assert (again.stages[0].state, len(hub.asked)) == ("reuse", asked)
    assert again.stages[0].prepared.found is not None


def test_a_branch_that_moved_since_is_not_what_was_planned(recipe: Path, hub: Hub) -> None:
    planned = plan(recipe)
    before = base_of(planned)["id"]
    hub.repo(ID).add({"config.json": b'{"model_type": "b"}'})
    run(planned)
    assert base_of(plan(recipe))["id"] == before


def test_a_run_that_is_told_to_end_while_nothing_comes_ends(recipe: Path, hub: Hub) -> None:
    planned = plan(recipe)
    held = hub.fault("GET", "/model.safetensors", until=threading.Event())

    def end() -> None:
        if held.met.wait(10):
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(Interrupted), termination_as_interrupt():
        run(planned)
    held.until.set()
    thread.join()
    assert find_run(Context(load_settings()).paths, "last").state == "interrupted"
    run(plan(recipe))


def test_a_hub_that_is_away_is_said_beside_what_is_not_here(
    recipe: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        BadInput, match=r"is not in this machine's .* offline mode is set"
    ) as caught:
        plan(recipe)
    assert caught.value.where.startswith("r.yaml:3")


def test_a_name_that_the_hub_does_not_know_is_bad_input(recipe: Path, hub: Hub) -> None:
    recipe.write_text(RECIPE.replace("path:seed", "hub:org/no"), encoding="utf-8")
    with pytest.raises(BadInput, match="shows no such repository"):
        plan(recipe)


def test_what_is_missing_of_half_a_download_comes(recipe: Path, hub: Hub) -> None:
    run(plan(recipe))
    folder = repository(parse_reference(f"hub:{ID}"))
    link = next(folder.glob("snapshots/*/model.safetensors"))
    link.resolve().unlink()
    link.unlink()
    planned = plan(recipe)
    assert 0 < base_of(planned)["download_bytes"] < 200
    run(planned)
    assert plan(recipe).stages[0].state == "reuse"


def test_an_adapter_comes_with_what_it_is_on(recipe: Path, hub: Hub, tmp_path: Path) -> None:
    for name, folder in (
        ("org/base", write_full(tmp_path / "b")),
        ("org/lora", write_adapter(tmp_path / "l", "org/base")),
    ):
        hub.repo(name, files={file.name: file.read_bytes() for file in folder.iterdir()})
    recipe.write_text(RECIPE.replace("path:seed", "hub:org/lora"), encoding="utf-8")
    planned = plan(recipe)
    assert base_of(planned)["download_bytes"] > 300
    run(planned)
    assert plan(recipe).stages[0].state == "reuse"


def test_a_version_whose_base_is_not_here_is_trained_on_once_that_came(
    recipe: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = write_full(tmp_path / "b")
    hub.repo("org/base", files={file.name: file.read_bytes() for file in files.iterdir()})
    fetch(list_files(parse_reference("hub:org/base")), lambda there, whole: None)
    registry = Context(load_settings()).registry
    base = locate("hub:org/base", registry, registry.root)
    draft = Draft(name="lora", kind="adapter", stage="sft", base=base.id, base_digest=base.digest)
    registry.add(draft, write_adapter(tmp_path / "l"))
    recipe.write_text(RECIPE.replace("path:seed", "lora:v1"), encoding="utf-8")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "another"))
    planned = plan(recipe)
    assert (base_of(planned)["id"], base_of(planned)["downloads"]) == ("lora:v1", [base.id])
    run(planned)
    assert plan(recipe).stages[0].state == "reuse"


ROWS = b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n'
DATA = "hub:org/facts:data/train.jsonl"


@pytest.fixture
def facts(project: Path, hub: Hub) -> str:
    """A data repository at the Hub and a recipe that trains on a file of it; its commit."""
    repo = hub.repo("org/facts", "dataset")
    tiny_model(project / "seed", "seed")
    text = RECIPE.replace("path:a.jsonl", DATA)
    (project / "r.yaml").write_text(text, encoding="utf-8")
    return repo.add({"data/train.jsonl": ROWS * 3, "README.md": b"---\nlicense: mit\n---\n"})


def real(recipe: Path = Path("r.yaml")) -> PlannedStage:
    return make_plan(recipe, [], context=Context(load_settings()), kinds=KINDS).stages[0]


def test_data_of_the_hub_is_planned_by_name_and_read_by_content(facts: str, hub: Hub) -> None:
    pinned = f"hub:org/facts@{facts}:data/train.jsonl"
    planned = real()
    assert planned.state == "pending"
    assert pinned in planned.prepared.summary
    planned.inputs["data.train.0"].fetch(lambda there, whole: None)
    asked = len(hub.asked)
    data = real().prepared.payload.train[0]
    assert (data.reference, data.samples, len(hub.asked)) == (pinned, 3, asked)
    assert data.sha256 == hashlib.sha256(ROWS * 3).hexdigest()


def test_the_same_rows_here_and_at_the_hub_are_the_same_data(facts: str, hub: Hub) -> None:
    real().inputs["data.train.0"].fetch(lambda there, whole: None)
    there = real().prepared.parts
    Path("a.jsonl").write_bytes(ROWS * 3)
    text = Path("r.yaml").read_text(encoding="utf-8").replace(DATA, "path:a.jsonl")
    Path("r.yaml").write_text(text, encoding="utf-8")
    assert real().prepared.parts == there


def test_samples_of_what_is_not_here_say_what_brings_it(facts: str, hub: Hub) -> None:
    planned = real()
    kind = KINDS["train"]
    assert isinstance(kind, Train)
    context = Context(load_settings())
    attempt = context.paths.run("r").attempt("r", 1)
    with pytest.raises(BadInput, match="has yet to be downloaded") as caught:
        kind.show(planned.node, planned.prepared, attempt, 3, context)
    assert "`llmops models download hub:org/facts@main:data/train.jsonl`" in caught.value.fix


def test_a_bad_row_of_the_hub_is_told_with_its_place(facts: str, hub: Hub) -> None:
    hub.repo("org/facts", "dataset").add({"data/train.jsonl": ROWS + b'{"messages": 7}\n'})
    real().inputs["data.train.0"].fetch(lambda there, whole: None)
    with pytest.raises(BadInput, match="row 2") as caught:
        real()
    assert caught.value.where.startswith("r.yaml:4")


def test_texts_of_a_base_that_are_not_here_say_what_brings_them(facts: str, hub: Hub) -> None:
    text = "kind: base\narchitecture: {model_type: qwen2}\noutput: {model: b}\n"
    text += f'tokenizer: {{vocab_size: 300, texts: ["{DATA}"]}}\n'
    Path("b.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BadInput, match="not in this machine's Hugging Face cache") as caught:
        real(Path("b.yaml"))
    assert caught.value.where.startswith("b.yaml:4")
    assert "`llmops models download hub:org/facts@main:data/train.jsonl`" in caught.value.fix


def test_a_hub_that_breaks_off_is_tried_again_as_a_stage_is(
    recipe: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmops.runner.patience.BACK_OFF", 0.0)
    monkeypatch.setattr("llmops.registry.hub.transfer.TRIES", 1)
    hub.fault("GET", "/model.safetensors", status=503)
    assert "answers 503 Service Unavailable; again in 0 s" in run(plan(recipe))
