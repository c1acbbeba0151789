"""The Models tab: what its pages offer and ask, and that what others wrote in them is inert."""

import re
from typing import Any

import pytest

from llmops.ui.evidence import told
from llmops.ui.keeping import delete_button, notes_card
from llmops.ui.lineage import leads, lineage_view
from llmops.ui.links import not_there
from llmops.ui.markup import Html, joined
from llmops.ui.promotion import aliases_card, rollback_button, sheet
from llmops.ui.served import answering_with, served
from llmops.ui.version import version_page
from llmops.ui.versions import MODELS, by_model, model_page, overview
from tests.fast.test_ui_words import Read

EVIL = "<script>window.owned = 1</script>\"'><img src=x onerror=alert(1)>"
PASSED = {
    "id": "e1", "time": "2026-11-20T10:00:00+00:00", "kind": "evaluation", "version": "town:v3",
    "against": "town:v1", "passed": True, "summary": "town.correct 93%", "missing": [],
    "file": None, "by": "run 20261120-100000-eval/check",
}  # fmt: skip
FAILED = PASSED | {"id": "e2", "passed": False, "missing": ["terse is 20%, 90% was asked"]}
OVERRIDE = PASSED | {"id": "e3", "kind": "override", "summary": "to production: it is urgent"}


def version(number: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "version": f"town:v{number}", "kind": "adapter", "stage": "dpo", "base": "town:v1",
        "parent": "town:v1", "aliases": [], "size": 641, "created": "2026-11-20T10:00:00+00:00",
        "fingerprint": "f" * 64, "lora_rank": 8, "digest": "d" * 64, "dtype": "float32",
        "golden": 2, "first_golden": "user: Which river?", "metrics": {"train_loss": 0.4},
        "history": [], "children": [], "lineage": {"run": "r1", "stage": "dpo", "data": []},
    } | changes  # fmt: skip


def standing(*items: dict[str, Any], missing: list[str] | None = None) -> dict[str, Any]:
    decides = items[-1]["id"] if items else None
    return {"items": list(items), "decides": decides, "missing": missing or []}


def acts(html: str) -> list[str]:
    return re.findall(r'data-act="(\w+)"', html)


def test_on_evidence_there_is_a_promotion_that_says_from_what_to_what() -> None:
    shown = sheet("town:v3", "production", {"production": "town:v2"}, standing(PASSED), ["town"])
    assert acts(shown) == ["promote"]
    assert "names town:v2 now" in shown
    assert "Served by town" in shown


def test_without_evidence_there_is_only_an_override_that_asks_why() -> None:
    evidence = standing(FAILED, missing=["terse is 20%, 90% was asked"])
    shown = sheet("town:v3", "production", {}, evidence, [])
    assert acts(shown) == ["promote_override"]
    assert 'data-why="Why all the same?"' in shown
    assert "terse is 20%, 90% was asked" in shown
    assert "Evaluate it" in shown


def test_what_an_alias_names_already_is_not_offered() -> None:
    shown = sheet("town:v3", "production", {"production": "town:v3"}, standing(PASSED), [])
    assert acts(shown) == []
    assert "to=production" not in aliases_card("town:v3", {"production": "town:v3"})


def test_candidate_and_production_are_offered_before_they_exist() -> None:
    shown = aliases_card("town:v1", {})
    assert "to=candidate" in shown
    assert "to=production" in shown


def test_a_version_is_deleted_for_a_reason_once_no_alias_names_it() -> None:
    shown = delete_button(version())
    assert "Delete town:v3, " in shown
    assert 'data-why="Why?"' in shown
    assert "disabled" not in shown
    assert "disabled" in delete_button(version(aliases=["production"]))


def test_notes_are_shown_and_inert() -> None:
    notes = [{"time": "2026-11-20T10:00:00+00:00", "by": "ada", "text": EVIL, "tags": {}}]
    shown = notes_card(version(notes=notes))
    assert "window.owned" in shown
    assert "<script" not in shown


def test_a_rollback_says_from_what_to_what() -> None:
    shown = rollback_button("town", "production", "town:v3", "town:v2")
    assert "from town:v3 to town:v2?" in shown
    assert "data-why" in shown


def test_a_page_of_something_that_is_gone_leads_back() -> None:
    shown = not_there("models", "Models", EVIL)
    assert 'href="?tab=models"' in shown
    assert "<img" not in shown


def test_without_anything_before_there_is_no_rollback() -> None:
    assert " disabled" in rollback_button("town", "production", "town:v3", None)


def test_evidence_is_told_newest_first_with_what_it_lacks() -> None:
    shown = told([PASSED, FAILED, OVERRIDE], "town:v3")
    assert shown.index("override") < shown.index("did not pass") < shown.index("passed</span>")
    assert "terse is 20%, 90% was asked" in shown
    assert "?tab=runs&amp;run=20261120-100000-eval" in shown


def test_a_version_without_evidence_says_what_would_be_some() -> None:
    assert "Nothing was measured of town:v9 yet." in told([], "town:v9")


def test_versions_come_a_page_at_a_time_newest_first() -> None:
    found = {"name": "town", "aliases": {}, "versions": [version(n) for n in range(1, 31)]}
    first = model_page({"tab": "models", "model": "town"}, found, [], [])
    assert "town:v30" in first
    assert "town:v20<" not in first
    assert "after=10" in first
    last = model_page({"tab": "models", "model": "town", "after": "20"}, found, [], [])
    assert ">town:v10<" in last
    assert "after=30" not in last


def test_an_alias_that_stands_on_an_override_is_marked() -> None:
    move = {"time": PASSED["time"], "alias": "production", "version": "town:v3", "before": None,
            "why": "urgent", "by": "ann", "evidence": ["override-0011"]}  # fmt: skip
    found = {"name": "town", "aliases": {"production": "town:v3"}, "versions": [version()]}
    marked = "override</span> urgent"
    assert model_page({}, found, [move], []).count(marked) == 2
    assert marked not in model_page({}, found, [{**move, "evidence": ["e1"]}], [])


def test_a_project_without_models_says_how_to_get_one() -> None:
    assert "There is no model yet." in overview({}, {}, {}, Html(""))


def test_models_with_aliases_come_first() -> None:
    base = version() | {"version": "alpha:v1"}
    moves = [{"time": "2026-11-20T10:00:00+00:00", "alias": "production", "version": "town:v3",
              "before": None, "why": "", "by": ""}]  # fmt: skip
    models = by_model([base, version(aliases=["production"])])
    shown = overview({}, models, {"town": moves}, Html(""))
    assert shown.index("model=town") < shown.index("model=alpha")


def test_many_models_come_a_page_at_a_time() -> None:
    models = by_model([version() | {"version": f"m{n:02}:v1"} for n in range(MODELS + 1)])
    first = overview({"tab": "models"}, models, {}, Html(""))
    assert "model=m00" in first
    assert "model=m12" not in first
    assert "after=12" in first
    assert "model=m12" in overview({"after": "12"}, models, {}, Html(""))


DEPLOYMENT = {
    "name": "town", "file": "serving/town.yaml", "running": True, "status": "ready", "url": "http://127.0.0.1:8000",
    "variants": {
        "control": {"model": "town@production", "version": "town:v2", "weight": 3.0},
        "candidate": {"model": "town@candidate", "version": None, "weight": 1.0},
    },
    "problems": {"candidate": "another base"}, "waiting": {}, "experiment": True,
}  # fmt: skip


def test_what_is_served_tells_shares_of_the_traffic() -> None:
    shown = served([DEPLOYMENT])
    assert "75%" in shown
    assert "25%" in shown
    assert "candidate: another base" in shown


def test_what_runs_can_be_stopped_and_what_stands_still_be_served() -> None:
    assert acts(served([DEPLOYMENT])) == ["stop_deployment"]
    stopped = DEPLOYMENT | {"running": False, "status": "stopped"}
    assert 'data-value="serving/town.yaml"' in served([stopped])
    assert acts(served([stopped])) == ["deploy"]
    assert acts(served([stopped | {"status": "broken"}])) == []


def test_who_serves_an_alias_is_known() -> None:
    stopped = DEPLOYMENT | {"name": "old", "running": False}
    assert answering_with([DEPLOYMENT, stopped], "town", "production") == ["town"]
    assert answering_with([DEPLOYMENT], "town", "anchor") == []


@pytest.mark.parametrize(
    ("id", "kind", "to"),
    [
        ("town:v3", "version", "?tab=models&model=town&version=3"),
        ("run:20261120-town", "run", "?tab=runs&run=20261120-town"),
        ("data:recipes/data/x.jsonl", "data", ""),
        ("javascript:alert(1)", "version", ""),
    ],
)
def test_nodes_of_a_lineage_lead_to_their_pages(id: str, kind: str, to: str) -> None:
    assert leads({"id": id, "kind": kind, "label": id}) == to


def test_a_version_is_told_with_its_tags_and_licences() -> None:
    found = version(tags={"reviewed": "", "language": "fr"}, licences={"own": None, "base": "mit"})
    page = version_page({}, found, standing(), {"nodes": [], "edges": []}, Html(""))
    assert "reviewed, language=fr" in page
    assert "licence of its base</dt><dd>mit" in page


def test_of_a_base_with_a_thousand_children_some_are_in_the_table() -> None:
    kids = [f"town:v{n}" for n in range(2, 1002)]
    nodes = [{"id": id, "kind": "version", "label": id, "state": "", "facts": {}}
             for id in ("town:v1", *kids)]  # fmt: skip
    edges = [{"from": "town:v1", "to": id, "relation": "base", "facts": {}} for id in kids]
    shown = lineage_view(
        "town:v1", {"about": ["town:v1"], "nodes": nodes, "edges": edges, "notes": []}
    )
    assert "Not all of it is drawn" in shown
    assert ">1,000 versions<" in shown
    assert shown.count("<tr") == 301


def test_nothing_that_others_wrote_is_more_than_text() -> None:
    piece = PASSED | {"summary": EVIL, "missing": [EVIL], "by": EVIL, "against": EVIL, "file": EVIL}
    move = {"time": PASSED["time"], "alias": EVIL, "version": EVIL, "before": EVIL, "why": EVIL,
            "by": f"run {EVIL}/{EVIL}"}  # fmt: skip
    made = {"run": EVIL, "stage": EVIL, "parent": EVIL, "recipe": EVIL, "engine": EVIL,
            "data": [{"path": EVIL, "samples": 1, "sha256": EVIL}]}  # fmt: skip
    found = version(aliases=[EVIL], base=EVIL, first_golden=EVIL, metrics={EVIL: 1.0},
                    history=[move], children=[EVIL], lineage=made, tags={EVIL: EVIL},
                    licences={"own": EVIL, "base": EVIL})  # fmt: skip
    ends = {"label": EVIL, "state": EVIL, "facts": {EVIL: EVIL}}
    graph = {"about": ["a"], "notes": [EVIL],
             "nodes": [{"id": "a", "kind": EVIL} | ends, {"id": "b", "kind": "run"} | ends],
             "edges": [{"from": "a", "to": "b", "relation": EVIL, "facts": {}}]}  # fmt: skip
    page = version_page({}, found, standing(piece), graph, Html(""))
    many = model_page({"after": EVIL, "moves": EVIL}, {"name": EVIL, "aliases": {EVIL: EVIL},
                      "versions": [found]}, [move], [piece])  # fmt: skip
    variants = {EVIL: {"model": EVIL, "version": EVIL, "weight": 1.0}}
    odd = {"url": f"javascript:{EVIL}", "variants": variants, "problems": {EVIL: EVIL}}
    deployment = DEPLOYMENT | {"name": EVIL, "status": EVIL} | odd
    ask = sheet(EVIL, EVIL, {EVIL: EVIL}, standing(piece, missing=[EVIL]), [EVIL])
    whole = joined(page, many, served([deployment]), ask, aliases_card(EVIL, {EVIL: EVIL}))
    read = Read(whole)
    assert EVIL in read.text
    assert not read.names & {"script", "img"}
    assert not {name for name in read.attributes if name.startswith("on")}
    assert not re.findall(r'href="(?!\?|http://|https://)', whole)
