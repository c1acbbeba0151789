"""The model card: what it tells the Hub and people, and what it keeps to itself."""

import json
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import DataUsed, Draft, Golden, Licences, Lineage, Manifest
from llmops.registry.remote.about import about
from llmops.registry.remote.card import About, card, with_aliases
from llmops.registry.remote.layout import merged, standing
from llmops.registry.store import Registry
from llmops.store.digest import sha256_file
from tests.fast.models_on_disk import write_adapter
from tests.fast.remote_machines import machine

SECRET = "Anna lives at 12 Mill Lane"


def made(registry: Registry, **more: Any) -> Manifest:
    """An adapter of which everything is known, what is private included."""
    data = DataUsed(path="/home/anna/rows.jsonl", sha256="f" * 64, samples=1200, reference="path:x")
    pairs = DataUsed(path="p.parquet", sha256="e" * 64, samples=31, reference="preferences:town@3")
    golden = Golden(text=SECRET, prompt_ids=[1], completion_ids=[2], logprobs=[-0.1])
    lineage = Lineage(
        run="r1",
        stage="dpo",
        recipe="recipes/dpo.yaml",
        parent="town:v1",
        data=[data, pairs],
        resolved={"note": SECRET},
        imported_from="/home/anna/model",
    )
    draft = Draft(
        name="town",
        kind="adapter",
        stage="dpo",
        base="hub:Org/Small@main",
        golden=[golden],
        metrics={"train_loss": 0.25},
        lineage=lineage,
        licences=Licences(base="Apache-2.0", data={"path:x": "cc-by-4.0"}),
        **more,
    )
    return registry.add(draft, write_adapter(registry.root / "made"))


def evaluated(version: Manifest, registry: Registry) -> None:
    metrics = [
        metric("correct", "rate", 0.9),
        metric("perplexity", "perplexity", 0.0),
    ]
    file = registry.root / "report.json"
    file.write_text(json.dumps({"confidence": 0.9, "metrics": metrics}))
    piece = Evidence(
        id="e1",
        time="2026-01-02T00:00:00+00:00",
        kind="evaluation",
        version=str(version.id),
        passed=True,
        summary="",
        file="report.json",
        digest=sha256_file(file),
    )
    EvidenceLog(registry.paths).add(piece)


def metric(name: str, kind: str, estimate: float) -> dict[str, Any]:
    figures = {"estimate": estimate, "low": estimate, "high": None}
    return {"suite": "town", "metric": name, "kind": kind, "version": figures, "baseline": None}


def test_its_metadata_is_the_hubs_own(tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = made(registry)
    evaluated(version, registry)
    data = ModelCard(card(version, about(version, "acme/town", {}, registry))).data
    assert (data.base_model, data.base_model_relation) == ("Org/Small", "adapter")
    assert (data.library_name, data.license) == ("peft", "apache-2.0")
    results = {one.metric_type: one.metric_value for one in data.eval_results}
    assert results == {"correct": 0.9, "perplexity": 1.0}


@pytest.mark.parametrize(
    ("said", "known", "name"),
    [
        ("MIT", "mit", None),
        ("tongyi-qianwen", "other", "tongyi-qianwen"),
        ("GPL-3.0-only and My Own, Ltd.", "other", "gpl-3.0-only-and-my-own-ltd."),
    ],
)
def test_a_licence_that_the_hub_does_not_know_is_named_beside(
    tmp_path: Path, said: str, known: str, name: str | None
) -> None:
    """It refuses a card with any other id."""
    version = made(machine(tmp_path)).model_copy(update={"licences": Licences(own=said)})
    data = ModelCard(card(version, About("acme/town"))).data
    assert (data.license, data.get("license_name")) == (known, name)
    assert f"| licence | {said} |" in card(version, About("acme/town"))


def test_it_tells_where_the_version_comes_from(tmp_path: Path) -> None:
    version = made(machine(tmp_path))
    text = card(version, About("acme/town"))
    assert "| trained from | town:v1 |" in text
    elsewhere = version.lineage.model_copy(update={"parent": "path:/home/anna/small"})
    moved = version.model_copy(update={"lineage": elsewhere})
    assert "| trained from | small |" in card(moved, About("acme/town"))
    assert f"| rows.jsonl | 1,200 | `{'f' * 64}` | cc-by-4.0 |" in text
    assert f"| preferences:town@3 | 31 | `{'e' * 64}` | unknown |" in text
    assert "| train_loss | 0.25 |" in text
    assert "hf download acme/town --revision v1" in text


def test_nothing_private_is_in_it(tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = made(registry)
    registry.move("town", "production", 1, why=SECRET, by="anna")
    text = card(version, about(version, "acme/town", {"production": "town:v1"}, registry))
    assert SECRET not in text
    assert "anna" not in text


def test_a_report_that_was_changed_is_not_told(tmp_path: Path) -> None:
    registry = machine(tmp_path)
    version = made(registry)
    evaluated(version, registry)
    (tmp_path / "report.json").write_text("{}")
    assert about(version, "acme/town", {}, registry).evaluation is None


def test_only_the_aliases_of_a_card_are_written_anew(tmp_path: Path) -> None:
    version = made(machine(tmp_path))
    moved = with_aliases(card(version, About("acme/town")), {"production": "town:v1"})
    assert moved == card(version, About("acme/town", aliases={"production": "town:v1"}))
    assert with_aliases("of somebody's own", {"production": "town:v1"}) == "of somebody's own"


def test_logs_are_one_by_time_with_each_record_once() -> None:
    first = '{"time": "1", "alias": "production", "version": "town:v1"}'
    again = '{"time":"1","alias":"production","version":"town:v1","why":"","evidence":[]}'
    last = '{"time": "3", "alias": "production", "version": "town:v3"}'
    other = '{"time": "2", "alias": "production", "version": "town:v2"}'
    text = merged([first, last], [again, other])
    assert text.splitlines() == [first, other, last]
    assert standing(text) == {"production": "town:v3"}
