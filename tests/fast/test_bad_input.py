"""Bad input as a user meets it: the command's message, exit code 2, and nothing started."""

from pathlib import Path

import pytest

from tests.conftest import Llmops

RECIPE = """\
kind: train
stage: sft
base: "path:base"
data:
  train:
    - path: data.jsonl
args: {max_steps: 1}
output: {model: town}
"""
ROW = '{"messages": [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]}\n'
PIPELINE = """\
name: p
stages:
  one: {recipe: r.yaml, base: "stage:two"}
  two: {recipe: r.yaml, base: "stage:one"}
"""


@pytest.fixture
def recipe(project: Path) -> Path:
    (project / "r.yaml").write_text(RECIPE, encoding="utf-8")
    (project / "data.jsonl").write_text(ROW * 2, encoding="utf-8")
    return project / "r.yaml"


def refused(llmops: Llmops, project: Path, *args: str) -> str:
    """What the command says on stderr, having started nothing."""
    done = llmops("run", *args)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not (project / ".llmops").exists()
    return done.stderr


def test_an_unknown_key(llmops: Llmops, project: Path, recipe: Path) -> None:
    recipe.write_text(RECIPE.replace("args:", "arg:"), encoding="utf-8")
    told = refused(llmops, project, "r.yaml")
    assert told == "error: r.yaml:7: arg: unknown key `arg`\n  -> did you mean `args`?\n"


def test_a_missing_recipe(llmops: Llmops, project: Path, recipe: Path) -> None:
    assert "error: s.yaml: no such file" in refused(llmops, project, "s.yaml")


def from_scratch(project: Path, texts: str) -> None:
    """Let the recipe stand on a base that is made from `texts`, so that data is what is wrong."""
    base = (
        "kind: base\narchitecture: {model_type: qwen2}\noutput: {model: b}\n"
        f"tokenizer: {{vocab_size: 300, texts: ['path:{texts}']}}\n"
    )
    (project / "b.yaml").write_text(base, encoding="utf-8")
    text = RECIPE.replace("path:base", "recipe:b.yaml")
    (project / "r.yaml").write_text(text, encoding="utf-8")


def test_a_missing_data_file(llmops: Llmops, project: Path, recipe: Path) -> None:
    from_scratch(project, "no.jsonl")
    told = refused(llmops, project, "r.yaml")
    assert "b.yaml:4: tokenizer.texts.0.path: no such file: no.jsonl" in told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "there are no rows in it"),
        ("\n\n", "there are no rows in it"),
        (ROW + "{not json}\n", "data.jsonl:2: row 2:"),
        (ROW + '{"messages": 3}\n', "data.jsonl:2: row 2:"),
        (ROW + '{"text": "a"}\n', "data.jsonl:2: row 2:"),
    ],
)
def test_a_bad_data_file(
    llmops: Llmops, project: Path, recipe: Path, content: str, words: str
) -> None:
    (project / "data.jsonl").write_text(content, encoding="utf-8")
    from_scratch(project, "good.jsonl")
    (project / "good.jsonl").write_text(ROW, encoding="utf-8")
    told = refused(llmops, project, "r.yaml")
    assert "r.yaml:6: data.train.0.path" in told
    assert words in told


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("path:base", "r.yaml:3: base"),
        ("town:v1", "there is no model `town` in the registry"),
        ("town@production", "there is no model `town` in the registry"),
        ("recipe:no.yaml", "no such recipe: no.yaml"),
        ("hub:org/name", "is not in this machine's Hugging Face cache"),
        ("stage:sft", "only inside a pipeline"),
    ],
)
def test_a_base_that_does_not_exist(
    llmops: Llmops, project: Path, recipe: Path, base: str, words: str
) -> None:
    recipe.write_text(RECIPE.replace("path:base", base), encoding="utf-8")
    assert words in refused(llmops, project, "r.yaml")


def test_an_interpreter_of_ones_own_that_is_not_there(
    llmops: Llmops, project: Path, recipe: Path
) -> None:
    (project / "llmops.toml").write_text(
        '[engines.llamafactory]\npython = "/no/python"\n', encoding="utf-8"
    )
    from_scratch(project, "good.jsonl")
    (project / "good.jsonl").write_text(ROW, encoding="utf-8")
    done = llmops("plan", "b.yaml")
    assert (done.returncode, "/no/python does not exist" in done.stderr) == (2, True)


def test_a_file_where_the_project_keeps_its_state(llmops: Llmops, project: Path) -> None:
    (project / ".llmops").write_text("", encoding="utf-8")
    done = llmops("keys", "create", "a")
    assert done.returncode == 1
    assert "cannot be read or written: Not a directory" in done.stderr


def test_a_cyclic_pipeline(llmops: Llmops, project: Path, recipe: Path) -> None:
    (project / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    assert "in a circle: one -> two -> one" in refused(llmops, project, "p.yaml")


def test_a_missing_engine(llmops: Llmops, project: Path) -> None:
    (project / "llmops.toml").unlink()
    assert llmops("init", ".").returncode == 0
    told = refused(llmops, project, "pipelines/town.yaml")
    assert "the engine llamafactory is not installed" in told
    assert "llmops engines install llamafactory" in told


def test_an_unknown_engine(llmops: Llmops, project: Path, recipe: Path) -> None:
    base = "kind: base\narchitecture: {}\noutput: {model: b}\nengine: lamafactory\n"
    text = base + "tokenizer: {vocab_size: 300, texts: ['path:data.jsonl']}\n"
    (project / "b.yaml").write_text(text, encoding="utf-8")
    told = refused(llmops, project, "b.yaml")
    assert "b.yaml:4: engine" in told
    assert "did you mean `llamafactory`?" in told


def test_a_plan_works_without_an_engine(llmops: Llmops, project: Path) -> None:
    (project / "llmops.toml").unlink()
    assert llmops("init", ".").returncode == 0
    done = llmops("plan", "pipelines/town.yaml")
    assert done.returncode == 0
    assert "llamafactory is not installed: options unchecked" in done.stdout
