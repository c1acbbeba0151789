"""Replay: the same question to another version, at a server on the wire."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from llmops.errors import BadInput, Failed
from llmops.feedback.batch import insert
from llmops.feedback.rows import inference_row
from llmops.serving.declared import find_deployment
from llmops.serving.replay import Replayed, replay
from llmops.spec.settings import Settings
from llmops.store.database import open_database, writing
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.logged import answer, write
from tests.fast.protocol_server import Wire, closed_port, serve_wire


def chat(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def asked_again(tmp_path: Path, record: dict[str, Any], wire: Wire) -> Replayed:
    settings = Settings(root=tmp_path, cache=tmp_path)
    database = open_database(settings)
    try:
        with writing(database) as connection:
            insert(connection, [inference_row(record)], [])
        with serve_wire(wire) as endpoint:
            return replay(settings, database, record["id"], "town:v4", url=f"{endpoint.url}/v1")
    finally:
        database.dispose()


def test_the_same_is_asked_of_another_version(tmp_path: Path) -> None:
    wire = Wire(chat("The Lahn."))
    given = {"temperature": 0, "max_tokens": 9, "stream_options": {}, "n": 2}
    done = asked_again(tmp_path, answer(1, parameters=given), wire)
    assert wire.asked == [
        {
            "model": "town:v4",
            "messages": answer(1)["messages"],
            "temperature": 0,
            "max_tokens": 9,
        }
    ]
    assert (done.version, done.on) == ("town:v2", "town:v4")
    assert (done.before, done.after) == (answer(1)["choices"][0]["text"], "The Lahn.")
    assert done.note == "temperature 0: what differs comes from the version"


def test_a_completion_is_asked_as_one(tmp_path: Path) -> None:
    record = answer(1, endpoint="completions", messages=None, prompt="The river is")
    wire = Wire({"choices": [{"text": " the Ebb", "finish_reason": "length"}]})
    done = asked_again(tmp_path, record, wire)
    assert wire.asked[0]["prompt"] == "The river is"
    assert (done.after, done.finish) == (" the Ebb", "length")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"temperature": 0.7}, "temperature 0.7, no seed"),
        ({"temperature": 0.7, "seed": 3}, "temperature 0.7, seed 3"),
        ({}, "the server's temperature"),
    ],
)
def test_chance_is_told(tmp_path: Path, parameters: dict[str, Any], words: str) -> None:
    done = asked_again(tmp_path, answer(1, parameters=parameters), Wire(chat("x")))
    assert words in done.note


def test_a_server_that_refuses_is_told(tmp_path: Path) -> None:
    wire = Wire({"error": {"message": "no such model"}}, 404)
    with pytest.raises(Failed, match="no such model"):
        asked_again(tmp_path, answer(1), wire)


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
def test_what_cannot_be_asked_again(settings: Settings, database: sa.Engine) -> None:
    with writing(database) as connection:
        erased = answer(1, messages=None, choices=None, redacted=5)
        insert(connection, [inference_row(erased), inference_row(answer(2))], [])
    for name, on, words in [
        ("x", "town:v1", "there is no answer `x`"),
        (answer(1)["id"], "town:v1", "are erased"),
        (answer(2)["id"], "town@production", "is not NAME:vN"),
        (answer(2)["id"], "town:v1", "no file in serving/ declares the deployment `town`"),
    ]:
        with pytest.raises(BadInput, match=words):
            replay(settings, database, name, on)


def test_the_deployment_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "serving").mkdir()
    file = tmp_path / "serving" / "other.yaml"
    file.write_text("name: town\nvariants: {a: {model: 'town:v1'}}\n", encoding="utf-8")
    assert find_deployment("town", Settings(root=tmp_path, cache=tmp_path)).path == file


def test_a_deployment_that_two_files_declare_is_refused(tmp_path: Path) -> None:
    """Whichever came first would be asked, or compared, in the other's name."""
    (tmp_path / "serving").mkdir()
    for name in ("one", "two"):
        file = tmp_path / "serving" / f"{name}.yaml"
        file.write_text("variants: {a: {model: 'town:v1'}}\nname: town\n", encoding="utf-8")
    with pytest.raises(BadInput, match=r"is declared by .*two\.yaml too"):
        find_deployment("town", Settings(root=tmp_path, cache=tmp_path))


def test_the_command_shows_both(project: Path, llmops: Llmops) -> None:
    write(ProjectPaths(project), [answer(1)])
    with serve_wire(Wire(chat("The Lahn."))) as endpoint:
        args = ["replay", answer(1)["id"], "--on", "v4", "--url", endpoint.url, "--json"]
        done = llmops(*args)
    assert json.loads(done.stdout)["after"] == "The Lahn."
    dead = f"http://127.0.0.1:{closed_port()}"
    failed = llmops("replay", answer(1)["id"], "--on", "v4", "--url", dead)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
