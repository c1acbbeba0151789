"""The control API as its clients see it: what it tells, what it refuses and in which words."""

import hashlib
import hmac
import os
import time
from collections.abc import Iterator

import pytest

from llmops.registry.store import Registry
from tests.fast.control_process import SECRET, ControlProcess, controlled

RECIPE = "recipes/base.yaml"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlProcess]:
    """Nothing that is queued here starts."""
    with controlled(tmp_path_factory, "--no-scheduler") as process:
        yield process


def test_what_is_not_there_is_a_problem(running: ControlProcess) -> None:
    answer = running.get("/models/twon")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "twon" in answer.json()["detail"]


def test_an_unknown_route_and_method_are_problems_too(running: ControlProcess) -> None:
    assert running.get("/nothing").json()["code"] == "not_found"
    assert running.post("/models").json()["code"] == "method_not_allowed"


def test_a_bad_body_names_the_key_and_repeats_nothing(running: ControlProcess) -> None:
    answer = running.post("/runs", {"target": RECIPE, "overides": ["x=SECRET"]})
    assert answer.status_code == 422
    assert "overides" in answer.json()["detail"]
    assert "SECRET" not in answer.text


def test_the_correlation_of_a_request_comes_back(running: ControlProcess) -> None:
    assert running.get("/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == (
        "mine-1"
    )
    made = running.get("/healthz", headers={"x-request-id": "not a name"}).headers["x-request-id"]
    assert len(made) == 32


def test_a_run_is_queued_listed_and_cancelled(running: ControlProcess) -> None:
    asked = running.post("/runs", {"target": RECIPE}, headers={"x-request-id": "mine-2"})
    assert asked.status_code == 202
    run = running.get(asked.json()["url"]).json()
    assert (run["state"], run["correlation"], run["by"]) == ("queued", "mine-2", "api:local")
    assert run["job"]["queue_position"] >= 1
    assert run["id"] in [one["id"] for one in running.get("/runs?state=queued").json()["items"]]
    assert running.post(f"/runs/{run['id']}/stop").json()["state"] == "cancelled"
    assert running.post(f"/runs/{run['id']}/stop").status_code == 409


def test_a_cancelled_run_can_be_gone_on_with(running: ControlProcess) -> None:
    run = running.post("/runs", {"target": RECIPE}).json()["id"]
    running.post(f"/runs/{run}/stop")
    assert running.get(f"/runs/{run}").json()["resumable"] is True
    assert run in [one["id"] for one in running.get("/runs?state=cancelled").json()["items"]]
    assert running.post(f"/runs/{run}/resume").json()["state"] == "queued"
    assert run in [one["id"] for one in running.get("/runs?state=queued").json()["items"]]


def test_a_run_may_wait_for_a_person(running: ControlProcess) -> None:
    run = running.post("/runs", {"target": RECIPE, "approval": True}).json()["id"]
    assert run in [one["run"] for one in running.get("/approvals").json()["items"]]
    said = running.post(f"/runs/{run}/approve", {"decision": "reject", "note": "not now"})
    assert said.status_code == 200
    assert running.get(f"/runs/{run}").json()["state"] == "cancelled"
    assert running.post(f"/runs/{run}/approve", {}).status_code == 409


def test_the_list_of_runs_comes_in_parts(running: ControlProcess) -> None:
    for _ in range(3):
        running.post("/runs", {"target": RECIPE})
    whole = [one["id"] for one in running.get("/runs?limit=200").json()["items"]]
    parts: list[str] = []
    after = ""
    while after is not None:
        part = running.get("/runs", params={"limit": 2, **({"after": after} if after else {})})
        parts += [one["id"] for one in part.json()["items"]]
        after = part.json()["next"]
    assert parts == whole


def test_the_same_key_starts_one_run(running: ControlProcess) -> None:
    key = {"idempotency-key": "once"}
    first, again = (running.post("/runs", {"target": RECIPE}, headers=key) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = running.post("/runs", {"target": "recipes/cpt.yaml"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_of_another_request")


def test_a_rollback_that_is_sent_twice_is_one(running: ControlProcess) -> None:
    registry = Registry(running.paths)
    for number in (1, 2):
        registry.move("town", "steady", number, why="a test")
    key = {"idempotency-key": "back"}
    for _ in range(2):
        moved = running.post("/models/town/rollback", {"alias": "steady"}, headers=key)
        assert moved.json()["move"]["version"] == "town:v1"
    assert running.post("/models/town/rollback", {"alias": "steady"}).status_code == 409


def test_a_refused_request_may_be_sent_again_under_its_key(running: ControlProcess) -> None:
    key = {"idempotency-key": "refused"}
    body = {"target": RECIPE, "overrides": ["no_such_key=1"]}
    answers = [running.post("/runs", body, headers=key) for _ in range(2)]
    assert [one.status_code for one in answers] == [400, 400]
    assert "no_such_key" in answers[0].json()["detail"]


def test_training_takes_recipes_of_its_stage(running: ControlProcess) -> None:
    assert running.post("/train/sft", {"recipe": "recipes/sft.yaml"}).status_code == 202
    refused = running.post("/train/dpo", {"recipe": "recipes/sft.yaml"})
    assert "of stage sft" in refused.json()["detail"]


def test_only_declarations_are_run(running: ControlProcess) -> None:
    for target in ("/etc/hosts", "recipes/../llmops.toml", "recipes/data/x.jsonl"):
        assert running.post("/runs", {"target": target}).status_code == 404
    assert running.post("/pipelines/run", {"pipeline": RECIPE}).status_code == 422


def test_a_plan_is_what_the_command_prints(running: ControlProcess) -> None:
    plan = running.post("/plans", {"target": RECIPE, "overrides": {"seed": 3}}).json()
    assert plan["target"] == RECIPE
    assert plan["stages"][0]["state"] == "run"
    assert plan["text"].startswith(f"{RECIPE}: 1 to run")


def test_a_text_is_planned_before_it_is_saved(running: ControlProcess) -> None:
    text = (running.root / "recipes" / "sft.yaml").read_text("utf-8")
    plan = running.post("/plans", {"yaml": text, "kind": "recipe"}).json()
    assert [one["stage"] for one in plan["stages"]] == ["base", "cpt", "unsaved"]
    bad = running.post("/plans", {"yaml": text.replace("stage:", "stge:"), "kind": "recipe"})
    assert bad.status_code == 400
    assert bad.json()["where"].startswith("recipes/unsaved.yaml")
    assert not list((running.root / "recipes").glob(".unsaved*"))


def test_what_a_declaration_names_and_is_not_there_is_no_404(running: ControlProcess) -> None:
    body = {"target": "recipes/sft.yaml", "overrides": ["base=nobody:v9"]}
    assert running.post("/plans", body).json()["code"] == "bad_input"


def test_no_secret_of_the_environment_is_told(running: ControlProcess) -> None:
    text = 'kind: base\nname: "${oc.env:LLMOPS_HOOK_SECRET}"\n'
    override = "output.model=${oc.env:LLMOPS_HOOK_SECRET}"
    for path, body in (
        ("/plans", {"target": RECIPE, "overrides": [override]}),
        ("/plans", {"yaml": text, "kind": "recipe"}),
        ("/declarations/check", {"text": text, "kind": "recipe"}),
        ("/runs", {"target": RECIPE, "overrides": [override]}),
    ):
        answer = running.post(path, body)
        assert "oc.env" in answer.text
        assert SECRET not in answer.text


def test_a_declaration_is_written_over_what_was_read_only(running: ControlProcess) -> None:
    read = running.get("/declarations/recipes/cpt.yaml").json()
    text = read["text"] + "# mine\n"
    body = {"text": text, "digest": read["digest"]}
    assert running.put("/declarations/recipes/cpt.yaml", body).json()["text"] == text
    assert (running.root / "recipes" / "cpt.yaml").read_text("utf-8") == text
    again = running.put("/declarations/recipes/cpt.yaml", body)
    assert (again.status_code, again.json()["code"]) == (409, "changed")


def test_a_text_that_does_not_load_is_not_written(running: ControlProcess) -> None:
    body = {"text": "kind: train\nstaeg: sft\n", "digest": None}
    refused = running.put("/declarations/recipes/new.yaml", body)
    assert refused.status_code == 422
    assert refused.json()["where"].startswith("recipes/new.yaml")
    assert not (running.root / "recipes" / "new.yaml").exists()


def test_a_new_file_keeps_the_permissions_of_files(running: ControlProcess) -> None:
    text = (running.root / "suites" / "town.yaml").read_text("utf-8")
    made = running.put("/declarations/suites/below/new.yaml", {"text": text, "digest": None})
    assert made.status_code == 200
    assert (running.root / "suites" / "below" / "new.yaml").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "path",
    ["recipes/../llmops.toml", "recipes/.hidden.yaml", "recipes/x.txt", "../x.yaml", "out/x.yaml"],
)
def test_nothing_else_is_read_or_written(running: ControlProcess, path: str) -> None:
    escaped = "/declarations/" + path.replace("..", "%2e%2e")
    assert running.get(escaped).status_code == 404
    assert running.put(escaped, {"text": "kind: base\n", "digest": None}).status_code == 404


def test_a_link_that_leads_out_is_not_followed(running: ControlProcess) -> None:
    secret = running.root.parent / "outside.yaml"
    secret.write_text("kind: base\n")
    os.symlink(secret, running.root / "recipes" / "link.yaml")
    try:
        assert running.get("/declarations/recipes/link.yaml").status_code == 404
        listed = running.get("/declarations").json()["items"]
        assert "recipes/link.yaml" not in [one["path"] for one in listed]
    finally:
        (running.root / "recipes" / "link.yaml").unlink()


def test_a_pipe_holds_nobody_up(running: ControlProcess) -> None:
    pipe = running.root / "recipes" / "pipe.yaml"
    os.mkfifo(pipe)
    try:
        assert running.get("/declarations/recipes/pipe.yaml").status_code == 404
        assert running.get("/declarations?kind=recipe").status_code == 200
    finally:
        pipe.unlink()


@pytest.mark.parametrize("value", ["${", "9" * 5000, "${oc.create:1}", "${name}"])
def test_no_text_is_a_defect(running: ControlProcess, value: str) -> None:
    text = f"kind: base\nname: {value}\n"
    checked = running.post("/declarations/check", {"kind": "recipe", "text": text})
    assert checked.json()["ok"] is False
    plan = running.post("/plans", {"target": RECIPE, "overrides": [f"output.model={value}"]})
    assert plan.status_code == 400


def test_half_a_character_is_no_value(running: ControlProcess) -> None:
    body = b'{"target": "recipes/base.yaml", "overrides": {"output.model": "\\ud800"}}'
    with running.client(headers={"content-type": "application/json"}) as client:
        assert client.post("/plans", content=body).status_code == 422


def test_a_text_is_checked_with_lines_and_keys(running: ControlProcess) -> None:
    body = {"kind": "recipe", "text": "kind: base\nsede: 3\n"}
    found = running.post("/declarations/check", body).json()
    assert found["ok"] is False
    assert (2, "sede") in [(one["line"], one["key"]) for one in found["problems"]]
    assert any("architecture" in one["message"] for one in found["problems"])


def test_what_loads_is_told_with_its_defaults(running: ControlProcess) -> None:
    text = (running.root / "recipes" / "sft.yaml").read_text("utf-8")
    found = running.post("/declarations/check", {"kind": "recipe", "text": text}).json()
    assert found["ok"] is True
    assert found["value"]["resources"]["devices"] == 1


def test_text_that_is_no_yaml_is_told_by_line(running: ControlProcess) -> None:
    for text, line in (("kind: [\n", 2), ("a: 1\na: 2\n", 2)):
        found = running.post("/declarations/check", {"kind": "recipe", "text": text}).json()
        assert found["problems"][0]["line"] == line


def test_nested_too_deeply_is_said(running: ControlProcess) -> None:
    body = {"kind": "recipe", "text": "a: " + "[" * 3000 + "]" * 3000}
    found = running.post("/declarations/check", body).json()
    assert "nested too deep" in found["problems"][0]["message"]


def test_models_are_told_as_the_command_tells_them(running: ControlProcess) -> None:
    model = running.get("/models/town").json()
    assert [one["version"] for one in model["versions"]] == ["town:v1", "town:v2"]
    assert running.get("/models/town/versions/2").json()["parent"] == "town:v1"
    assert running.get("/models/town/versions/9").status_code == 404


def test_a_version_that_nobody_evaluated_has_no_report(running: ControlProcess) -> None:
    assert running.get("/models/town/versions/1/evaluation").json()["code"] == "not_found"
    assert running.get("/models/town/versions/1/golden").json() == {"items": [], "next": None}


def test_promotion_asks_for_evidence_and_keeps_an_override(running: ControlProcess) -> None:
    first = {"version": 1, "alias": "production"}
    assert running.post("/models/town/promote", first).json()["move"]["by"] == "api:local"
    assert running.post("/models/town/promote", first).json()["moved"] is False
    moved = {"version": "town:v2", "alias": "production", "why": "it is urgent"}
    refused = running.post("/models/town/promote", moved)
    assert (refused.status_code, refused.json()["code"]) == (409, "gate_refused")
    running.post("/models/town/promote", {**moved, "override": True})
    assert Registry(running.paths).aliases("town")["production"] == 2
    overridden = 'llmops_control_alias_overridden{model="town",alias="production"}'
    assert f"{overridden} 1" in running.get("/metrics").text
    late = running.post("/models/town/rollback", {"leaving": "town:v1"})
    assert (late.status_code, Registry(running.paths).aliases("town")["production"]) == (409, 2)
    back = running.post("/models/town/rollback", {"why": "worse", "leaving": "town:v2"}).json()
    assert back["move"]["version"] == "town:v1"
    assert f"{overridden} 0" in running.get("/metrics").text
    kinds = [one["kind"] for one in running.get("/models/town/versions/2/evidence").json()["items"]]
    assert kinds == ["override"]
    asked = running.get("/models/town/versions/2/evidence?alias=production").json()
    assert asked["missing"] == ["there is no experiment about town:v2"]


def test_a_lineage_leads_from_the_base_to_the_version(running: ControlProcess) -> None:
    graph = running.get("/models/town/versions/2/lineage").json()
    steps = {(one["from"], one["relation"], one["to"]) for one in graph["edges"]}
    assert {("town:v1", "base", "town:v2"), ("town:v1", "trained from", "town:v2")} <= steps
    kinds = {one["id"]: one["kind"] for one in graph["nodes"]}
    assert kinds["run:20260101-000000-town"] == "run"
    assert kinds["recipe:recipes/dpo.yaml"] == "recipe"
    assert all({before, after} <= kinds.keys() for before, _, after in steps)


def test_what_was_trained_on_a_file_is_told(running: ControlProcess) -> None:
    graph = running.get("/lineage", params={"data": "recipes/data/town_sft.jsonl"}).json()
    assert [one["kind"] for one in graph["nodes"]] == ["data"]
    for elsewhere in ("/etc/passwd", "/etc", "../../../../../../../etc/passwd"):
        assert running.get("/lineage", params={"data": elsewhere}).status_code == 404
    assert running.get("/lineage").status_code == 400
    assert running.get("/lineage", params={"inference": "v" * 40}).status_code == 404


def test_deployments_are_told_whether_or_not_they_run(running: ControlProcess) -> None:
    town = running.get("/deployments/town").json()
    assert (town["running"], town["status"]) == (False, "stopped")
    assert town["variants"]["control"]["model"] == "town@production"
    assert running.post("/deployments/town/stop").status_code == 404


def test_the_log_can_be_asked_and_taken_away(running: ControlProcess) -> None:
    assert running.get("/feedback?since=7d&kind=thumbs").json() == {"items": [], "next": None}
    assert running.get("/feedback?since=yesterday").status_code == 400
    assert running.get("/feedback/answers?after=nowhere").status_code == 400
    taken = running.get("/feedback/export")
    assert taken.headers["content-type"].startswith("application/x-ndjson")
    forgotten = running.post("/feedback/forget", {"user": "alice"}).json()
    assert forgotten["inferences"] == 0


def test_schedules_are_paused_and_halted(running: ControlProcess) -> None:
    assert running.get("/schedules").json()["items"][0]["id"] == "night/cron"
    assert len(running.get("/schedules/night/cron/next?n=3").json()["times"]) == 3
    paused = running.post("/schedules/night/cron/pause", {"why": "holiday"}).json()
    assert paused["paused"]["by"] == "api:local"
    assert running.post("/schedules/night/cron/resume").json()["paused"] is None
    assert running.post("/schedules/halt", {"why": "smoke"}).json()["halted"]["why"] == "smoke"
    assert running.post("/schedules/night/cron/run").status_code == 409
    running.post("/schedules/unhalt")
    assert running.post("/schedules/night/cron/run").status_code == 202
    assert running.get("/schedules/history").json()["items"][0]["outcome"] == "started"
    assert running.get("/schedules/night/nothing/next").status_code == 404


def test_a_hook_is_taken_from_who_signs_it_only(running: ControlProcess) -> None:
    """Also one that was declared a moment ago, where no scheduler runs."""
    night = running.root / "pipelines" / "night.yaml"
    text = night.read_text(encoding="utf-8").replace("name: night", "name: zone")
    night.with_name("zone.yaml").write_text(text, encoding="utf-8")
    sent, body = str(int(time.time())), b'{"from": "elsewhere"}'
    made = hmac.new(SECRET.encode(), f"{sent}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-LLMOps-Signature": f"sha256={made}", "X-LLMOps-Timestamp": sent}
    with running.client() as client:
        good = client.post("/hooks/zone/webhook", content=body, headers=headers)
        again = client.post("/hooks/zone/webhook", content=body, headers=headers)
        bad = client.post("/hooks/zone/webhook", content=body + b" ", headers=headers)
    assert good.status_code == (202 if good.json()["outcome"] == "started" else 200)
    assert again.json() == good.json()
    assert (bad.status_code, bad.json()["code"]) == (403, "unsigned")


def test_the_dashboard_tells_of_every_part(running: ControlProcess) -> None:
    found = running.get("/dashboard/data").json()
    assert found["problems"] == []
    assert found["models"][0]["versions"] == 2
    assert {"feedback", "pairs", "train", "gate", "candidate", "production"} < set(found["loop"])


def test_the_description_has_an_example_for_every_error(running: ControlProcess) -> None:
    found = running.get("/openapi.json").json()
    assert "/runs/{run}/events" in found["paths"]
    for operations in found["paths"].values():
        for operation in operations.values():
            assert operation["responses"]["4XX"] == {"$ref": "#/components/responses/Problem"}


def test_a_run_may_be_about_some_stages(running: ControlProcess) -> None:
    asked = {"target": "recipes/cpt.yaml", "begin": "base", "until": "base"}
    run = running.post("/runs", asked).json()["id"]
    told = running.get(f"/runs/{run}").json()
    assert (told["force"], told["begin"], told["until"]) == (False, "base", "base")
    refused = running.post("/runs", {**asked, "until": "bse"})
    assert (refused.status_code, refused.json()["code"]) == (400, "bad_input")
