import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer import Typer
from typer.testing import CliRunner

from llmops.cli.schema import command
from llmops.errors import BadInput
from llmops.spec.schema import KINDS, schema_of
from llmops.spec.source import read_source

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = [
    (kind, path)
    for kind, folder in (
        ("recipe", "recipes"),
        ("pipeline", "pipelines"),
        ("deployment", "serving"),
        ("suite", "suites"),
    )
    for path in sorted((ROOT / folder).rglob("*.yaml"))
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_schema_is_valid_and_names_itself(kind: str) -> None:
    schema = schema_of(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    assert schema["title"] == f"llmops {kind}"


@pytest.mark.parametrize(
    ("kind", "path"), SHIPPED, ids=[str(path.relative_to(ROOT)) for _, path in SHIPPED]
)
def test_what_the_repository_ships_fits_its_schema(kind: str, path: Path) -> None:
    jsonschema.Draft202012Validator(schema_of(kind)).validate(read_source(path).data)


def test_something_is_shipped_of_every_kind() -> None:
    assert {kind for kind, _ in SHIPPED} == set(KINDS)


SFT: dict[str, Any] = {
    "kind": "train",
    "stage": "sft",
    "base": "town@anchor",
    "data": {"train": ["path:a.jsonl", {"path": "b.jsonl"}], "validation": 0.1},
    "output": {"model": "town"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "trian"},
        {"stage": "dop"},
        {"unknown": 1},
        {"data": {"train": []}},
        {"data": {"train": ["a.jsonl"]}},
        {"output": {"model": "Town"}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(change: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema_of("recipe"))
    validator.validate(SFT)
    assert not validator.is_valid(SFT | change)


def test_the_command_prints_the_schema() -> None:
    app = Typer()
    app.command()(command)
    assert json.loads(CliRunner().invoke(app, ["deployment"]).stdout) == schema_of("deployment")
    refused = CliRunner().invoke(app, ["recipes"])
    assert isinstance(refused.exception, BadInput)
    assert refused.exception.fix == "did you mean `recipe`?"
