"""`llmops feedback`, as people use it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from llmops.cli.feedback import app
from llmops.errors import BadInput
from llmops.feedback.identity import load_identity
from llmops.store.paths import ProjectPaths
from tests.conftest import Llmops
from tests.fast.logged import answer, event, write


def told(*args: str) -> Result:
    done = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def told_json(*args: str) -> Any:
    return json.loads(told(*args, "--json").stdout)


@pytest.fixture
def paths(project: Path) -> ProjectPaths:
    return ProjectPaths(project)


def test_an_empty_log_is_no_mistake(paths: ProjectPaths) -> None:
    for command in ("stats", "list"):
        done = told(command)
        assert done.stdout == ""
        assert "nobody has asked anything yet" in done.stderr
    assert told_json("stats") == []
    assert told_json("list") == {"rows": [], "after": None}
    assert told("ingest").stdout.startswith("0 answers, 0 events")


def test_what_gateways_wrote_is_seen_at_once(paths: ProjectPaths) -> None:
    write(paths, [answer(1), event(1)])
    assert told_json("stats", "--no-ingest") == []
    (entry,) = told_json("stats")
    assert (entry["answers"], entry["feedback"]["thumbs"]["count"]) == (1, 1)
    assert "100% of 1" in told("stats").stdout


def test_pages_go_on(paths: ProjectPaths) -> None:
    write(paths, [event(n) for n in range(5)])
    first = told_json("list", "-n", "3")
    second = told_json("list", "-n", "3", "--after", first["after"])
    assert [row["id"][-1] for row in first["rows"] + second["rows"]] == list("43210")
    assert f"--after '{first['after']}'" in told("list", "-n", "3").stderr


def test_a_user_is_named_as_the_application_does(paths: ProjectPaths) -> None:
    alice = load_identity(paths.secret).user("alice")
    write(paths, [answer(1, user=alice), answer(2)])
    (row,) = told_json("list", "--answers", "--user", "alice")["rows"]
    assert row["id"] == answer(1)["id"]


def test_an_answer_is_shown_with_its_feedback(paths: ProjectPaths) -> None:
    write(paths, [answer(1), event(1, kind="edit", text="The Lahn.", value=None)])
    text = told("show", answer(1)["id"]).stdout
    assert "town:v2 (candidate of town)" in text
    assert "edit: The Lahn.  by whoever asked" in text
    assert told_json("show", answer(1)["id"])["snapshots"] == []


def test_out_and_in_again(paths: ProjectPaths) -> None:
    write(paths, [answer(1), event(1)])
    assert "1 answers, 1 events" in told("export", "out.jsonl").stderr
    assert told("import", "out.jsonl").stdout == "0 answers, 0 events; 2 were there already\n"
    with pytest.raises(BadInput, match="Parquet needs a directory"):
        told("export", "--format", "parquet")
    with pytest.raises(BadInput, match="`csv` is no format"):
        told("export", "--format", "csv")


def test_forgetting_is_reported(paths: ProjectPaths) -> None:
    alice = load_identity(paths.secret).user("alice")
    write(paths, [answer(1, user=alice)])
    lines = told("forget", "--user", "alice").stdout
    assert "the texts of 1 answers and 0 events" in lines
    assert "the log holds nothing of this user" in told("forget", "--user", "bob").stdout
    assert told_json("forget", "--user", "alice")["inferences"] == 0
    assert "texts      erased" in told("show", answer(1)["id"]).stdout


def test_damaged_lines_are_told(paths: ProjectPaths) -> None:
    write(paths, [b"nonsense"])
    assert "the line at byte 0 is damaged" in told("stats").stderr


def test_a_time_that_is_none(paths: ProjectPaths) -> None:
    with pytest.raises(BadInput, match="`yesterday` is no time"):
        told("list", "--since", "yesterday")


@pytest.mark.parametrize("since", ["0001-01-01", "99999999999999d", f"{'9' * 400}d"])
def test_a_time_beyond_all_calendars(paths: ProjectPaths, since: str) -> None:
    with pytest.raises(BadInput, match="is no time"):
        told("list", "--since", since)


def test_odd_roles_and_times_are_shown_as_they_are(paths: ProjectPaths) -> None:
    odd = [{"role": ["user"], "content": "Hello"}]
    write(paths, [answer(1, messages=odd, time=2**61)])
    shown = told("show", answer(1)["id"]).stdout
    assert "['user']   Hello" in shown
    assert f"{2**61} ms" in shown


def test_mistakes_end_with_2_and_no_traceback(llmops: Llmops) -> None:
    done = llmops("feedback", "show", "x")
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no answer and no event `x`")


def test_following_ends_when_it_is_told_to(paths: ProjectPaths) -> None:
    write(paths, [answer(1)])
    argv = [sys.executable, "-m", "llmops", "feedback", "ingest", "--follow"]
    with subprocess.Popen(argv, cwd=paths.root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("1 answers")
        write(paths, [answer(2)], "town-2")
        assert process.stdout.readline().startswith("1 answers")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
