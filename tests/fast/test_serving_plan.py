import json
from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.feedback.keys import create_key
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry
from llmops.serving.backends.options import options
from llmops.serving.demand import Demand
from llmops.serving.describe import describe
from llmops.serving.plan import plan_serving
from llmops.serving.resolve import Resolved
from llmops.serving.supervisor import prepare
from llmops.serving.wanted import ask
from llmops.spec.load import load_deployment
from llmops.spec.settings import load_settings
from llmops.store.paths import ProjectPaths
from tests.fast.served import TOWN, add_adapter, deployment, environment, planned, register


@pytest.fixture
def registry(project: Path) -> Registry:
    return register(project)


def refusal(project: Path, *overrides: str, text: str = TOWN) -> str:
    with pytest.raises(BadInput) as caught:
        planned(project, *overrides, text=text)
    return str(caught.value)


def test_the_base_is_the_full_version_and_adapters_lie_on_it(
    project: Path, registry: Registry
) -> None:
    plan = planned(project)
    assert plan.loads[0].base.name == "town:v1"
    assert [adapter.name for adapter in plan.loads[0].adapters] == ["town:v2"]
    assert plan.variants == {"before": "town:v1", "after": "town:v2"}


def test_the_base_of_an_adapter_alone_is_loaded_too(project: Path, registry: Registry) -> None:
    plan = planned(project, text='name: town\nvariants:\n  only: {model: "town:v2"}\n')
    assert plan.loads[0].base.name == "town:v1"
    assert plan.variants == {"only": "town:v2"}


def test_two_variants_may_be_one_version(project: Path, registry: Registry) -> None:
    plan = planned(project, "variants.before.model=town:v2")
    assert plan.variants == {"before": "town:v2", "after": "town:v2"}
    assert len(plan.loads[0].adapters) == 1


def test_an_alias_is_pinned_to_its_version(project: Path, registry: Registry) -> None:
    registry.move("town", "production", 2, why="it is better")
    assert planned(project, "variants.after.model=town@production").variants["after"] == "town:v2"


def test_different_bases_take_a_server_each(project: Path, registry: Registry) -> None:
    plan = planned(project, "variants.before.model=other:v1")
    assert [load.base.name for load in plan.loads] == ["other:v1", "town:v1"]
    assert [one.name for one in plan.loads[1].adapters] == ["town:v2"]
    assert "2 bases: a server each" in describe(plan)["while_serving"][-1]


def test_an_alias_that_names_nothing_yet_waits(project: Path, registry: Registry) -> None:
    plan = planned(project, "variants.after.model=town@candidate")
    assert plan.variants == {"before": "town:v1"}
    assert plan.resolved.waiting == {"after": "town@candidate"}
    assert "variant after waits for town@candidate" in plan.warnings[0]
    assert describe(plan)["variants"][1]["waits_for"] == "town@candidate"


def test_a_misspelt_alias_that_waits_is_hinted_at(project: Path, registry: Registry) -> None:
    registry.move("town", "production", 1, why="it is good")
    told = planned(project, "variants.after.model=town@prodction").warnings[0]
    assert "did you mean `production`?" in told


def test_an_alias_of_a_model_that_is_not_there_is_refused(
    project: Path, registry: Registry
) -> None:
    assert "no model `twon`" in refusal(project, "variants.after.model=twon@candidate")


def test_nothing_but_waiting_is_refused(project: Path, registry: Registry) -> None:
    told = refusal(project, text='name: t\nvariants:\n  a: {model: "town@best"}\n')
    assert "nothing can be served yet" in told
    assert "`a` (town@best)" in told


def test_unless_somebody_wants_a_version(project: Path, registry: Registry) -> None:
    file = deployment(project, 'name: t\nvariants:\n  a: {model: "town@best"}\n')
    loaded = load_deployment(file)
    plan = plan_serving(loaded, registry, project, environment(project), ["town:v2"])
    assert plan.variants == {}
    assert [one.name for one in plan.versions] == ["town:v1", "town:v2"]


def test_a_share_of_the_traffic_is_told_by_variant(project: Path, registry: Registry) -> None:
    rows = describe(planned(project, "traffic.weights.before=3", "traffic.weights.after=1"))
    assert [row["share"] for row in rows["variants"]] == [0.75, 0.25]


def test_a_public_address_is_refused_while_there_is_no_key(
    project: Path, registry: Registry
) -> None:
    assert "no API key" in refusal(project, "listen.host=0.0.0.0")
    create_key(ProjectPaths(project), "app", ["chat"])
    assert describe(planned(project, "listen.host=0.0.0.0"))["keys"] is True


OPENAI = """\
name: town
backend: {kind: openai, url: "http://127.0.0.1:1/v1/", key_env: TOWN_KEY}
variants:
  ours: {model: "town@best", upstream: big}
  theirs: {upstream: small}
"""


def test_an_openai_backend_needs_no_files_but_its_key(
    project: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_deployment(deployment(project, OPENAI))
    with pytest.raises(BadInput, match="TOWN_KEY is not set"):
        plan_serving(loaded, registry, project, None)
    monkeypatch.setenv("TOWN_KEY", "secret")
    plan = plan_serving(loaded, registry, project, None)
    assert plan.variants == {"theirs": "small"}
    registry.move("town", "best", 2, why="it is good")
    plan = plan_serving(loaded, registry, project, None)
    assert {name: one.model for name, one in plan.resolved.variants.items()} == {
        "ours": "big",
        "theirs": "small",
    }
    assert plan.variants["ours"] == "town:v2"


def test_a_reward_model_is_refused(project: Path, registry: Registry) -> None:
    manifest = ProjectPaths(project).version("town", 2) / "manifest.json"
    text = manifest.read_text(encoding="utf-8").replace('"stage": "dpo"', '"stage": "rm"')
    manifest.unlink()
    manifest.write_text(text, encoding="utf-8")
    assert "town:v2 is a reward model" in refusal(project)


def test_a_rank_above_the_limit_is_refused_with_the_value_to_set(
    project: Path, registry: Registry
) -> None:
    base = registry.get(VersionId("town", 1))
    add_adapter(registry, base, project / "made" / "wide", rank=12)
    told = refusal(project, "variants.after.model=town:v3", "backend.lora.max_rank=8")
    assert "town:v3 has rank 12" in told
    assert "set backend.lora.max_rank: 16" in told


def test_more_adapters_than_slots_are_refused(project: Path, registry: Registry) -> None:
    add_adapter(registry, registry.get(VersionId("town", 1)), project / "made" / "second")
    told = refusal(project, "variants.before.model=town:v3", "backend.lora.slots=1")
    assert "2 adapters" in told
    assert "backend.lora.slots" in told


def test_a_version_that_is_not_there_is_named_with_its_line(
    project: Path, registry: Registry
) -> None:
    told = refusal(project, text=TOWN.replace("town:v2", "twon:v2"))
    assert "town.yaml:6: variants.after.model" in told
    assert "did you mean `town`?" in told or "town" in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("max_modellen", "did you mean `max_model_len`?"),
        ("max_loras", "set it through `backend.lora.slots`"),
        ("served-model-name", "set it through `variants`"),
        ("port", "set it through `listen.port`"),
    ],
)
def test_options_that_vllm_lacks_or_llmops_owns_are_refused(
    project: Path, registry: Registry, given: str, told: str
) -> None:
    loaded = load_deployment(deployment(project), [f"backend.args.{given}=1"])
    with pytest.raises(BadInput) as caught:
        plan_serving(loaded, registry, project, environment(project, options=True))
    assert told in str(caught.value)


def test_a_source_that_looks_different_leaves_names_to_vllm(tmp_path: Path) -> None:
    assert options(tmp_path) is None


def test_versions_without_golden_prompts_are_warned_of(project: Path, registry: Registry) -> None:
    plan = planned(project, text='name: town\nvariants:\n  a: {model: "other:v1"}\n')
    assert "other:v1 has no golden prompts" in plan.warnings[0]
    assert describe(plan)["warnings"] == list(plan.warnings)


def test_a_plan_writes_nothing(project: Path, registry: Registry) -> None:
    planned(project)
    assert not (project / ".llmops" / "serving").exists()


@pytest.mark.parametrize("option", ["enable_sleep_mode", "enable-sleep-mode"])
def test_an_option_is_known_by_either_spelling(
    project: Path, registry: Registry, option: str
) -> None:
    """vLLM takes both."""
    (told,) = describe(planned(project, f"backend.args.{option}=true"))["while_serving"][2:]
    assert "vLLM gives the memory back" in told


def test_a_plan_leaves_the_wishes_of_the_dead_alone(project: Path, registry: Registry) -> None:
    """It only reads; whoever serves the deployment removes them."""
    paths = ProjectPaths(project).deployment("town")
    asked = ask(paths, ["other:v1"])
    dead = json.loads(asked.file.read_text()) | {"mark": "another process of that number"}
    asked.file.write_text(json.dumps(dead))
    loaded = load_deployment(deployment(project))
    assert prepare(loaded, load_settings(), environment(project)).wanted == ()
    assert asked.file.exists()
    Demand(loaded, project, paths, Resolved()).read(lambda _one: None)
    assert not asked.file.exists()
