from pathlib import Path

import pytest

from llmops.errors import BadInput
from llmops.registry.manifest import VersionId
from llmops.registry.store import Registry
from llmops.serving.backends.options import options
from llmops.serving.plan import describe, plan_serving
from llmops.spec.load import load_deployment
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
    assert plan.base.name == "town:v1"
    assert [adapter.name for adapter in plan.adapters] == ["town:v2"]
    assert plan.variants == {"before": "town:v1", "after": "town:v2"}


def test_the_base_of_an_adapter_alone_is_loaded_too(project: Path, registry: Registry) -> None:
    plan = planned(project, text='name: town\nvariants:\n  only: {model: "town:v2"}\n')
    assert plan.base.name == "town:v1"
    assert plan.variants == {"only": "town:v2"}


def test_two_variants_may_be_one_version(project: Path, registry: Registry) -> None:
    plan = planned(project, "variants.before.model=town:v2")
    assert plan.variants_of("town:v2") == ["before", "after"]
    assert len(plan.adapters) == 1


def test_an_alias_is_pinned_to_its_version(project: Path, registry: Registry) -> None:
    registry.move("town", "production", 2, why="it is better")
    assert planned(project, "variants.after.model=town@production").variants["after"] == "town:v2"


def test_different_bases_are_refused_by_variant_with_the_reason(
    project: Path, registry: Registry
) -> None:
    told = refusal(project, "variants.before.model=other:v1")
    assert "`before` (other:v1) on other:v1" in told
    assert "`after` (town:v2) on town:v1" in told
    assert "a deployment of their own" in told


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
