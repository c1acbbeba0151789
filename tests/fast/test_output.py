"""What is long is printed another way than what is short, and says the same."""

import json
import math
from pathlib import Path

import pytest

from llmops.cli.output import print_json, print_table

MANY = 300


def test_a_long_table_is_plain_text_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("", ("version", "why"), [(f"town:v{n}", "100% [sure] %s") for n in range(MANY)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "version    why"
    assert lines[7] == "town:v6    100% [sure] %s"
    assert len(lines) == MANY + 1


def test_long_json_is_as_short_json(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"a": "Mühle 水", "b": [1, 2.5, None, True], "c": {}, "d": math.inf, "e": Path("x")}
    print_json([item])
    short = capsys.readouterr().out
    print_json([item] * MANY)
    long = capsys.readouterr().out
    assert json.loads(long) == json.loads(short) * MANY
    assert long.startswith(short.removesuffix("\n]\n"))
