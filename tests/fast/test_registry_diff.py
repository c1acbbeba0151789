"""How two versions differ."""

import json
from pathlib import Path
from typing import Any

import pytest

from llmops.registry.diff import diff
from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import DataUsed, Draft, Golden, Lineage, Manifest, Template
from llmops.registry.notes import Notes
from llmops.registry.store import Registry
from llmops.store.facts import differences
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_full


@pytest.fixture
def registry(project: Path) -> Registry:
    return Registry(ProjectPaths(project))


def made(registry: Registry, model: Path, **given: Any) -> Manifest:
    return registry.add(Draft(**{"name": "town", "kind": "full", "stage": "sft", **given}), model)


def changed(registry: Registry, a: Manifest, b: Manifest) -> dict[str, tuple[Any, Any]]:
    return {one["key"]: (one["a"], one["b"]) for one in diff(a, b, registry)["differences"]}


def test_versions_of_the_same_thing_do_not_differ(registry: Registry) -> None:
    model = write_full(registry.root / "m")
    one, other = made(registry, model), made(registry, model, name="village")
    assert diff(one, other, registry) == {
        "a": "town:v1", "b": "village:v1", "differences": [], "golden": None,
    }  # fmt: skip


def test_the_recipe_is_told_key_by_key_and_figures_with_their_change(registry: Registry) -> None:
    model = write_full(registry.root / "m")
    one, other = (
        made(
            registry,
            model,
            metrics={"loss": loss},
            template=Template(sha256=template),
            lineage=Lineage(resolved={"args": {"seed": seed}}, packages={"torch": "2.9.1"}),
        )
        for loss, seed, template in ((2.0, 1, "a"), (1.5, 2, "b"))
    )
    assert changed(registry, one, other) == {
        "template.sha256": ("a", "b"),
        "recipe.args.seed": (1, 2),
        "metrics.loss": (2.0, 1.5),
    }
    assert diff(one, other, registry)["differences"][-1]["delta"] == -0.5


def test_data_is_new_gone_or_changed_and_what_is_pinned_goes_by_its_name(
    registry: Registry,
) -> None:
    model = write_full(registry.root / "m")

    def of(*used: tuple[str, str, int]) -> Manifest:
        data = [DataUsed(path=p, sha256="f" * 64, samples=n, reference=r) for p, r, n in used]
        return made(registry, model, lineage=Lineage(data=data))

    one = of(
        ("a", "path:a", 1),
        ("b", "path:b", 1),
        ("p/1", "preferences:town@1", 5),
        ("x", "hub:o/n@c0:d.csv", 1),
    )
    other = of(
        ("a", "path:a", 2),
        ("c", "path:c", 1),
        ("p/2", "preferences:town@2", 6),
        ("y", "hub:o/n@d1:d.csv", 1),
    )
    assert changed(registry, one, other) == {
        "data.a": ("1 samples, ffffffffffff", "2 samples, ffffffffffff"),
        "data.b": ("1 samples, ffffffffffff", None),
        "data.preferences:town": ("@1, 5 samples, ffffffffffff", "@2, 6 samples, ffffffffffff"),
        "data.hub:o/n:d.csv": ("@c0, 1 samples, ffffffffffff", "@d1, 1 samples, ffffffffffff"),
        "data.c": (None, "1 samples, ffffffffffff"),
    }


def test_what_only_one_has_stands_with_its_like() -> None:
    found = differences({"args.a": 1, "loss": 1}, {"args.b": 1, "loss": 2})
    assert [one["key"] for one in found] == ["args.a", "args.b", "loss"]


def test_what_is_recorded_beside_versions_is_compared_too(registry: Registry) -> None:
    model = write_full(registry.root / "m")
    one, other = made(registry, model), made(registry, model)
    Notes(registry.paths).tag(other.id, {"reviewed": ""}, by="ann")
    told = {"id": "1", "time": "2026-01-01T00:00:00+00:00", "kind": "evaluation", "digest": ""}
    for passed in (False, True):
        piece = Evidence(**told, version="town:v2", passed=passed, summary="12 of 20")
        EvidenceLog(registry.paths).add(piece)
    assert changed(registry, one, other) == {
        "evidence.evaluation": (None, "passed: 12 of 20"),
        "tags.reviewed": (None, "set"),
    }


def test_golden_prompts_are_compared_as_far_as_their_tokens_are_the_same(
    registry: Registry,
) -> None:
    def golden(text: str, ids: list[int], logprobs: list[float]) -> Golden:
        return Golden(text=text, prompt_ids=[1, 2], completion_ids=ids, logprobs=logprobs)

    model = write_full(registry.root / "m")
    one = made(registry, model, golden=[golden("a", [3, 4, 6], [-1.0, -2.0, -3.0, -4.0])])
    answers = [golden("b", [3], [0.0, 0.0]), golden("a", [3, 5, 6], [-1.25, -1.5, -9.0, -9.0])]
    other = made(registry, model, golden=answers)
    found = diff(one, other, registry)["golden"]
    assert found == {"prompts": [1, 2], "same": 1, "tokens": 0, "answers": 1, "largest": 0.5}


def test_a_version_of_before_is_compared_by_what_it_knows(registry: Registry) -> None:
    """Its manifest has none of the fields that came since."""
    model = write_full(registry.root / "m")
    old, new = made(registry, model), made(registry, model, template=Template(sha256="a"))
    file = registry.directory(old) / "manifest.json"
    told = json.loads(file.read_text())
    for name in ("lora_alpha", "template", "licences", "seal"):
        del told[name]
    for name in ("preferences", "packages"):
        del told["lineage"][name]
    file.chmod(0o644)
    file.write_text(json.dumps(told))
    again = Registry(registry.paths)
    assert again.get(old.id).template is None
    assert changed(again, again.get(old.id), new) == {"template.sha256": (None, "a")}
