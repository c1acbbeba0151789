"""`llmops chat` against a server on loopback that the test owns (protocol_server.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmops.errors import BadInput, Failed
from llmops.serving.chat import Conversation, choose_variant, find_running
from llmops.serving.endpoint import Endpoint
from llmops.serving.state import ServingState, write_state
from llmops.store.liveness import process_mark
from llmops.store.paths import ProjectPaths
from tests.fast.protocol_server import DONE, Wire, event, piece, serve_wire
from tests.fast.served import deployment

WHOLE = piece("Al") + piece("der", "stop") + DONE


def state(endpoint: Endpoint, status: str = "ready") -> ServingState:
    return ServingState.model_validate(
        {
            "name": "town",
            "status": status,
            "pid": os.getpid(),
            "process_started": process_mark(os.getpid()),
            "url": endpoint.url,
            "base": "town:v1",
            "variants": {"before": "town:v1", "after": "town:v2"},
            "started": "2026-01-01T00:00:00+00:00",
        }
    )


def chat(
    project: Path, wire: Wire, *args: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The command, with a deployment that is being served by `wire`."""
    file = deployment(project)
    with serve_wire(wire) as endpoint:
        write_state(ProjectPaths(project).deployment("town"), state(endpoint))
        return subprocess.run(
            [sys.executable, "-m", "llmops", "chat", file.name, *args],
            cwd=project,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
        )


def test_one_question_prints_the_answer(project: Path) -> None:
    wire = Wire(WHOLE)
    done = chat(project, wire, "after", "Which river?", "--max-tokens", "8", "--temperature", "0")
    assert (done.returncode, done.stdout) == (0, "Alder\n")
    asked = wire.asked[0]
    assert (asked["model"], asked["max_tokens"], asked["temperature"]) == ("town:v2", 8, 0.0)
    assert asked["messages"] == [{"role": "user", "content": "Which river?"}]


def test_what_is_piped_in_is_the_question_and_the_first_variant_answers(project: Path) -> None:
    wire = Wire(WHOLE)
    assert chat(project, wire, stdin="Which river?\n").stdout == "Alder\n"
    assert wire.asked[0]["model"] == "town:v1"
    assert wire.asked[0]["messages"][0]["content"] == "Which river?"


def test_json_gives_the_complete_answer(project: Path) -> None:
    found = json.loads(chat(project, Wire(WHOLE), "after", "hi", "--json").stdout)
    assert (found["text"], found["finish_reason"], found["model"]) == ("Alder", "stop", "town:v2")


def test_an_answer_that_ends_in_an_error_event_exits_1(project: Path) -> None:
    wire = Wire(piece("Al") + event(error={"message": "engine died"}) + DONE)
    done = chat(project, wire, "after", "hi")
    assert done.returncode == 1
    assert "engine died" in done.stderr


def test_an_unknown_variant_exits_2_with_the_nearest(project: Path) -> None:
    done = chat(project, Wire(WHOLE), "aftr", "hi")
    assert done.returncode == 2
    assert "did you mean `after`?" in done.stderr


def test_an_empty_question_exits_2(project: Path) -> None:
    assert chat(project, Wire(WHOLE), "after", stdin="  \n").returncode == 2


def test_a_deployment_that_is_not_served_is_refused_with_the_command(project: Path) -> None:
    file = deployment(project)
    with pytest.raises(BadInput, match=r"llmops serve .*town\.yaml"):
        find_running("town", file, ProjectPaths(project))


def test_a_deployment_that_is_not_ready_yet_is_refused(project: Path) -> None:
    paths = ProjectPaths(project)
    write_state(paths.deployment("town"), state(Endpoint("http://127.0.0.1:1"), "restarting"))
    with pytest.raises(BadInput, match="is restarting"):
        find_running("town", project / "town.yaml", paths)


def test_a_version_may_be_named_instead_of_its_variant() -> None:
    assert choose_variant(state(Endpoint("http://127.0.0.1:1")), "town:v2") == "town:v2"


def test_a_conversation_remembers_until_it_is_reset() -> None:
    wire = Wire(WHOLE)
    with serve_wire(wire) as endpoint:
        talk = Conversation(endpoint, "town:v2")
        for text in ("one", "two"):
            list(talk.say(text))
        talk.reset()
        list(talk.say("three"))
        talk.close()
    said = [[message["content"] for message in asked["messages"]] for asked in wire.asked]
    assert said == [["one"], ["one", "Alder", "two"], ["three"]]


def test_an_answer_that_failed_is_not_remembered() -> None:
    wire = Wire(piece("Al") + DONE)
    with serve_wire(wire) as endpoint:
        talk = Conversation(endpoint, "town:v2")
        for _ in range(2):
            with pytest.raises(Failed):
                list(talk.say("one"))
        talk.close()
    assert [len(asked["messages"]) for asked in wire.asked] == [1, 1]
