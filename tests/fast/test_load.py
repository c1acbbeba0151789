"""Loading recipes, pipelines and deployments: overrides, interpolation, and each mistake."""

from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.spec.load import load_deployment, load_pipeline, load_recipe, load_target

RECIPE = """\
kind: train
stage: sft
base: "recipe:cpt.yaml"
data:
  train:
    - path: data/a.jsonl
args:
  learning_rate: 1e-3
  eval_strategy: no
  warmup_steps: ${args.steps}
  steps: 4
output: {model: town}
"""
PREFERENCES = """\
kind: preferences
deployment: town
builders: {judge: {url: "http://localhost:1", model: j}}
output: {preferences: town}
"""


@pytest.fixture
def recipe(project: Path) -> Path:
    file = project / "sft.yaml"
    file.write_text(RECIPE, encoding="utf-8")
    return file


def error_of(file: Path, *overrides: str) -> str:
    with pytest.raises(BadInput) as caught:
        load_recipe(file, overrides)
    return str(caught.value)


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${oc.decode:'${oc.env:HOME}'}"])
def test_nothing_of_the_environment_gets_into_a_declaration(recipe: Path, value: str) -> None:
    assert "oc.env" in error_of(recipe, f"stage={value}")


def test_values_keep_their_types(recipe: Path) -> None:
    args = load_recipe(recipe).spec.args
    assert args["learning_rate"] == 1e-3
    assert args["eval_strategy"] == "no"


def test_interpolation_is_resolved(recipe: Path) -> None:
    assert load_recipe(recipe).spec.args["warmup_steps"] == 4


def test_an_override_replaces_adds_and_indexes(recipe: Path) -> None:
    spec = load_recipe(
        recipe, ["args.learning_rate=2e-3", "args.new=no", "data.train.0.path=b.jsonl"]
    ).spec
    assert spec.args["learning_rate"] == 2e-3
    assert spec.args["new"] == "no"
    assert spec.data.train[0].path == "b.jsonl"


def test_an_overriding_path_is_relative_to_the_working_directory(recipe: Path) -> None:
    (recipe.parent / "here.jsonl").write_text("{}", encoding="utf-8")
    spec = load_recipe(recipe, ["data.train.0.path=here.jsonl"]).spec
    assert spec.data.train[0].path == str(recipe.parent / "here.jsonl")


@pytest.mark.parametrize(
    ("line", "by", "words"),
    [
        ("stage: sft", "stage: sfft", "sft.yaml:2: stage: `sfft` is not one of"),
        ("stage: sft", "stage: sfft", "did you mean `sft`?"),
        ("stage: sft", "stge: sft", "sft.yaml:2: stge: unknown key `stge`"),
        ("stage: sft", "stge: sft", "did you mean `stage`?"),
        ("    - path: data/a.jsonl", "    - pth: a", "did you mean `path`?"),
        ("kind: train", "kind: trian", "did you mean `train`?"),
        ("kind: train", "a: 1", "`kind` is missing"),
        ("output: {model: town}", "output: {model: Big Town}", "`Big Town` is not a name"),
        ('base: "recipe:cpt.yaml"', "base: town", "`town` is not a reference"),
        ('base: "recipe:cpt.yaml"', "base: preferences:x", "where a model is expected"),
        ("  steps: 4", "  step: 4", "steps"),
        ("output: {model: town}", "output: [town]", "output: expected a mapping, found ['town']"),
        ("output: {model: town}", "output:", "output: expected a mapping, found nothing"),
    ],
)
def test_a_mistake_is_told_with_its_place(recipe: Path, line: str, by: str, words: str) -> None:
    assert line in RECIPE
    recipe.write_text(RECIPE.replace(line, by), encoding="utf-8")
    assert words in error_of(recipe)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("since", "soon", "`soon` is not a duration, such as 90d, 24h"),
        ("builders.judge.url", "ftp://x", "`ftp://x` is not a URL that begins with http"),
    ],
)
def test_a_text_of_another_form_is_told_which(
    project: Path, key: str, value: str, words: str
) -> None:
    file = project / "p.yaml"
    file.write_text(PREFERENCES, encoding="utf-8")
    assert words in error_of(file, f"{key}={value}")


def test_all_the_mistakes_are_told_at_once(recipe: Path) -> None:
    text = RECIPE.replace("stage: sft", "stage: sfft").replace("output:", "outptu:")
    recipe.write_text(text, encoding="utf-8")
    told = error_of(recipe)
    assert "`sfft`" in told
    assert "`outptu`" in told


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("stage=x", "override stage"),
        ("args", "is not an override"),
        ("data.validation=1.5", "between 0 and 1"),
        ("data.train.7.path=x", "data.train"),
        ("data.train=[town:v1]", "is no data"),
        ("data.train=[hub:x/y]", "names no file"),
        ("data.train.x.path=y", "override data.train.x.path: `data.train.x.path` names nothing"),
        ("args[=3", "is not an override"),
        ("a=[1", "`[1` is not a YAML value: did not find expected"),
        ("made.up=3", "override made.up: unknown key `made`"),
    ],
)
def test_a_bad_override_is_told_as_such(recipe: Path, override: str, words: str) -> None:
    assert words in error_of(recipe, override)


def test_a_pipeline_where_a_recipe_belongs_is_named(project: Path) -> None:
    file = project / "p.yaml"
    file.write_text("name: p\nstages: {a: {recipe: r.yaml}}\n", encoding="utf-8")
    assert "this is a pipeline" in error_of(file)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: [train]\n", "is not a kind of recipe"),
        ("a: &a [*a]\n", "or an alias holds itself"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deep"),
    ],
    ids=("list", "alias", "deep"),
)
def test_what_is_no_declaration_at_all(recipe: Path, text: str, words: str) -> None:
    recipe.write_text(text, encoding="utf-8")
    assert words in error_of(recipe)


def test_a_time_zone_that_there_is_not(project: Path) -> None:
    file = project / "p.yaml"
    trigger = "{cron: '0 3 * * 1', timezone: Mars/Olympus}"
    file.write_text(
        f"name: p\nstages: {{a: {{recipe: r.yaml}}}}\ntriggers: [{trigger}]\n", encoding="utf-8"
    )
    with pytest.raises(BadInput, match="`Mars/Olympus` is not a time zone"):
        load_pipeline(file)


def test_what_cannot_be_read_is_told_without_an_errno(recipe: Path) -> None:
    assert error_of(recipe.parent).endswith(": cannot be read: Is a directory")


def test_a_target_is_told_by_its_keys(project: Path, recipe: Path) -> None:
    file = project / "p.yaml"
    file.write_text("name: p\nstages: {a: {recipe: sft.yaml}}\n", encoding="utf-8")
    assert load_target(file).spec.name == "p"
    assert load_target(recipe).spec.kind == "train"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("{}", "either `recipe` or `promote`"),
        ("{promote: 'stage:b'}", "`promote` needs `to`"),
        ("{recipe: r.yaml, to: x}", "`to` has no meaning"),
        ("{promote: 'a:v1', to: x, base: 'a:v1'}", "`base` has no meaning"),
        ("{promote: 'a:v1', to: v3}", "`v3` cannot be an alias"),
        ("{promote: 'a:v1', to: x, when: b}", "`b` is not stage:NAME or experiment:NAME"),
        ("{recipe: r.yaml, bse: 'a:v1'}", "did you mean `base`?"),
    ],
)
def test_a_pipeline_stage_is_one_thing(project: Path, stage: str, words: str) -> None:
    file = project / "p.yaml"
    file.write_text(f"name: p\nstages:\n  a: {stage}\n", encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_pipeline(file)
    assert words in str(caught.value)
    assert "p.yaml:3: stages.a" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: d\nvariants: {}\n", "expected 1 or more of them"),
        ("name: d\nvariants: {a: {modl: 'a:v1'}}\n", "did you mean `model`?"),
        ("name: d\nvariants: {str: {modl: 'a:v1'}}\n", "variants.str.modl: unknown key"),
        ("name: d\nbackend: {lora: {max_rank: 24}}\nvariants: {a: {model: 'a:v1'}}\n", "max_rank"),
        (
            "name: d\nbackend: {kind: vllm, lora: {slotz: 3}}\nvariants: {a: {model: 'a:v1'}}\n",
            "backend.lora.slotz",
        ),
        ("name: d\nbackend: {kind: vlm}\nvariants: {a: {model: 'a:v1'}}\n", "`vllm`"),
    ],
)
def test_a_deployment_is_checked(project: Path, text: str, words: str) -> None:
    file = project / "d.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        load_deployment(file)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port", "http://127.0.0.1:99999", "http://[::1", "http://:80"]
)
def test_a_url_is_one(project: Path, url: str) -> None:
    file = project / "d.yaml"
    backend = f"backend: {{kind: openai, url: '{url}'}}"
    file.write_text(f"name: d\n{backend}\nvariants: {{a: {{upstream: a}}}}\n", encoding="utf-8")
    with pytest.raises(BadInput, match="is no URL") as caught:
        load_deployment(file)
    assert "d.yaml:2: backend" in str(caught.value)
