"""What an engine's end is told as."""

from pathlib import Path

import pytest

from llmops.data.inspect import inspect_data
from llmops.engines.contract import Cause, Command
from llmops.spec.recipe import DataFile
from llmops.stages.engine_run import ended_by, write_files
from tests.training_jobs import write_rows


@pytest.mark.parametrize(
    ("code", "killed", "found", "told", "kind"),
    [
        (137, True, Cause("lost a connection", "passing"), "killed by the kernel", "memory"),
        (137, False, Cause(), "killed by signal 9", ""),
        (1, True, Cause("bad mask"), "bad mask", ""),
        (1, False, Cause("the port is in use", "passing"), "the port is in use", "passing"),
        (3, False, Cause(), "the engine ended with exit code 3", ""),
    ],
)
def test_the_kernels_word_comes_before_the_logs(
    code: int, killed: bool, found: Cause, told: str, kind: str
) -> None:
    said, of_kind = ended_by(code, killed, found)
    assert said.startswith(told)
    assert of_kind == kind


def test_data_is_converted_on_its_way_to_the_engine(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.csv", "text,b\nOne.,1\n")
    data = inspect_data(DataFile(path=str(path)), path)
    write_files(Command([], {}, {"config.yaml": "a: 1\n"}, copies={"data/t.jsonl": data}), tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "a: 1\n"
    assert (tmp_path / "data/t.jsonl").read_text() == '{"text": "One."}\n'
