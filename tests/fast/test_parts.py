"""What makes a training run again, and what does not: the real kind of stage `train`, planned for
a project where it has run."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llmops.registry.manifest import Draft
from llmops.runner.fingerprint import fingerprint
from llmops.runner.plan import PlannedStage, make_plan
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from tests.fast.copying_stage import tiny_model
from tests.fast.models_on_disk import write_adapter, write_full

RECIPE = """\
# a comment
kind: train
stage: cpt
base: path:seed
data: {train: [{path: a.jsonl}], validation: 0.5}
args:
  learning_rate: 5.0e-4
  trust_remote_code: true
  lr_scheduler_type: polynomial
  lr_scheduler_kwargs: {power: 2, lr_end: 1.0e-7}
  accelerator_config: accelerator.json
output: {model: town}
"""
ROWS = "".join(f'{{"text": "{text}"}}\n' for text in ("one", "two", "ten"))
OTHERS = ROWS.replace("two", "six")
Change = Callable[[], object]


@pytest.fixture
def project(project: Path) -> Path:
    tiny_model(project / "seed", "s")
    Path("seed/modeling.py").write_text("one = 1\n")
    Path("a.jsonl").write_text(ROWS)
    Path("accelerator.json").write_text('{"split_batches": false}')
    Path("r.yaml").write_text(RECIPE)
    made(planned())
    assert planned().state == "reuse"
    return project


def planned(target: str = "r.yaml") -> PlannedStage:
    context = Context(load_settings())
    found = make_plan(Path(target), (), context=context, kinds=KINDS).stages[-1]
    context.remember()
    return found


def made(stage: PlannedStage) -> None:
    """Register a version as if the stage had made it."""
    parts = stage.prepared.parts
    draft = Draft(name="town", kind="full", stage="cpt", fingerprint=fingerprint(parts))
    Context(load_settings()).registry.add(draft, tiny_model(Path(f"made-{len(parts)}"), "m"))


def said(old: str, new: str) -> Change:
    assert old in RECIPE
    return lambda: Path("r.yaml").write_text(RECIPE.replace(old, new))


def written(file: str, text: str) -> Change:
    return lambda: Path(file).write_text(text)


def replaced_with_its_time() -> None:
    """Another file of the same size and time takes its place."""
    stat = Path("a.jsonl").stat()
    Path("b.jsonl").write_text(OTHERS)
    os.utime("b.jsonl", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace("b.jsonl", "a.jsonl")
    assert (Path("a.jsonl").stat().st_size, Path("a.jsonl").stat().st_mtime_ns) == (
        stat.st_size,
        stat.st_mtime_ns,
    )


def a_link_to_other_data() -> None:
    Path("b.jsonl").write_text(OTHERS)
    Path("a.jsonl").unlink()
    Path("a.jsonl").symlink_to("b.jsonl")


def a_folder_of_other_data() -> None:
    """What a recipe names below a link to a folder, once that leads elsewhere."""
    for folder, rows in (("old", ROWS), ("new", OTHERS)):
        Path(folder).mkdir()
        Path(folder, "a.jsonl").write_text(rows)
        os.utime(f"{folder}/a.jsonl", ns=(0, 0))
    Path("data").symlink_to("old")
    said("path: a.jsonl", "path: data/a.jsonl")()
    assert planned().state == "reuse"
    Path("data").unlink()
    Path("data").symlink_to("new")


def lines_as_text() -> None:
    """Each line is a text then, braces and all."""
    shutil.copy("a.jsonl", "a.txt")
    said("a.jsonl", "a.txt")()


@pytest.mark.parametrize(
    "change",
    [
        replaced_with_its_time,
        a_link_to_other_data,
        a_folder_of_other_data,
        lines_as_text,
        written("seed/tokenizer.json", '{"version": "1.0"}'),
        written("seed/chat_template.jinja", "{{ messages }}"),
        written("seed/generation_config.json", "{}"),
        written("seed/modeling.py", "one = 2\n"),
        written("accelerator.json", '{"split_batches": true}'),
        said("5.0e-4", "5.0e-5"),
        said("power: 2", "power: 3"),
        said("path: a.jsonl", "path: a.jsonl, limit: 2"),
        said("validation: 0.5", 'validation: ["path:a.jsonl"]'),
        said(", validation: 0.5", ""),
        said("output:", "resources: {devices: 2}\noutput:"),
    ],
)
def test_what_decides_the_result_makes_it_run_again(project: Path, change: Change) -> None:
    change()
    assert planned().state == "run"


def in_another_order() -> None:
    lines = RECIPE.splitlines()
    lines[-1:-1] = [lines.pop(1), "# another"]
    text = "\n".join(lines).replace("power: 2, lr_end: 1.0e-7", "lr_end: 0.0000001,   power: 2")
    Path("r.yaml").write_text(text.replace("5.0e-4", "0.0005"))


def moved_files() -> None:
    Path("other").mkdir()
    for name in ("a.jsonl", "accelerator.json", "seed"):
        shutil.move(name, f"other/{name}")
    shutil.move("r.yaml", "other/renamed.yaml")


def test_in_another_order_and_notation_it_is_the_same(project: Path) -> None:
    in_another_order()
    assert planned().state == "reuse"


def test_under_other_names_it_is_the_same(project: Path) -> None:
    moved_files()
    assert planned("other/renamed.yaml").state == "reuse"


def test_in_a_project_that_moved_it_is_the_same(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = project.rename(project.with_name("moved"))
    monkeypatch.chdir(moved)
    assert planned().state == "reuse"


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.utime("a.jsonl"),
        written("seed/README.md", "a model"),
        said("path: a.jsonl", "path: a.jsonl, licence: mit"),
        said("output:", "resources: {while_serving: sleep, retries: 0}\noutput:"),
        said("output:", "watch: {instability: warn}\noutput:"),
    ],
)
def test_what_decides_nothing_leaves_it_up_to_date(project: Path, change: Change) -> None:
    change()
    assert planned().state == "reuse"


def test_data_goes_by_the_name_and_licence_that_the_recipe_gives_it(project: Path) -> None:
    said("path: a.jsonl", "path: a.jsonl, licence: mit")()
    (data,) = planned().prepared.payload.train
    assert (data.reference, data.licence) == ("path:a.jsonl", "mit")


def test_the_base_of_an_adapter_that_is_no_version_is_part_of_it(project: Path) -> None:
    write_full(project / "full")
    write_adapter(project / "adapter", str(project / "full"))
    said("path:seed", "path:adapter")()
    made(planned())
    assert planned().state == "reuse"
    Path("full/generation_config.json").write_text("{}")
    assert planned().state == "run"


def test_a_base_is_the_same_whatever_the_order_of_its_keys(project: Path) -> None:
    text = "kind: base\narchitecture: {model_type: qwen2, rope_scaling: {%s}}\n"
    text += "tokenizer: {vocab_size: 300, texts: ['path:a.jsonl']}\noutput: {model: town}\n"
    found = []
    for order in ("factor: 2, type: linear", "type: linear, factor: 2"):
        Path("base.yaml").write_text(text % order)
        found.append(planned("base.yaml").prepared.parts)
    assert found[0] == found[1]
