"""The routing table, as a gateway follows it."""

from pathlib import Path

import pytest

from llmops.gateway.connection import Waits
from llmops.gateway.problems import Problems
from llmops.gateway.replies import Refused
from llmops.gateway.routes import RoutedVariant, Routes, Target, Upstream, write_routes
from llmops.gateway.table import Table
from tests.fast.gateway_process import routes

URL = "http://127.0.0.1:1"


def follow(path: Path, *tables: Routes) -> Table:
    table = Table(path, "town", Waits(), Problems())
    for written in tables:
        write_routes(path, written)
        table.look()
    return table


def test_a_new_table_is_taken_in(tmp_path: Path) -> None:
    moved = {"control": RoutedVariant(version="town:v3", weight=1)}
    table = follow(tmp_path / "r", routes(URL), routes(URL, generation=2, variants=moved))
    assert table.require().generation == 2
    assert table.require().assigned("user:1")[0].version == "town:v3"


def test_connections_survive_a_new_table(tmp_path: Path) -> None:
    table = follow(tmp_path / "r", routes(URL))
    before = table.require().versions["town:v1"].backend
    write_routes(tmp_path / "r", routes(URL, generation=2))
    table.look()
    assert table.require().versions["town:v1"].backend is before


@pytest.mark.parametrize(
    "damage",
    [
        {"versions": {}},
        {"deployment": "another"},
        {"backends": {}},
        {"backends": {"only": Upstream(url="nothing")}},
        {"backends": {"only": Upstream(url="http://127.0.0.1:port")}},
        {"backends": {"only": Upstream(url=URL, key_env="LLMOPS_TEST_ABSENT")}},
    ],
)
def test_a_table_that_contradicts_itself_changes_nothing(tmp_path: Path, damage: object) -> None:
    assert isinstance(damage, dict)
    table = follow(tmp_path / "r", routes(URL), routes(URL, generation=2, **damage))
    assert table.require().generation == 1
    assert "generation 1 stays" in table.problem


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', "\0" * 100])
def test_a_damaged_file_changes_nothing(tmp_path: Path, content: str) -> None:
    table = follow(tmp_path / "r", routes(URL))
    (tmp_path / "r").write_text(content)
    table.look()
    assert table.require().generation == 1
    assert "damaged" in table.problem
    write_routes(tmp_path / "r", routes(URL, generation=2))
    table.look()
    assert (table.require().generation, table.problem) == (2, "")


def test_without_a_table_requests_are_told_to_come_again(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        follow(tmp_path / "r").require()
    assert refused.value.status == 503


def test_a_model_is_the_deployment_a_variant_or_a_version(tmp_path: Path) -> None:
    routing = follow(tmp_path / "r", routes(URL)).require()
    assert routing.named("town") is None
    assert routing.named(None) is None
    variant, version = routing.named("candidate"), routing.named("town:v3")
    assert variant is not None
    assert version is not None
    assert (variant.variant, variant.version) == ("candidate", "town:v2")
    assert (version.variant, version.version) == ("", "town:v3")


def test_an_unknown_model_is_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"town, control, candidate, town:v1") as refused:
        follow(tmp_path / "r", routes(URL)).require().named("town:v9")
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_no_traffic_is_no_crash(tmp_path: Path) -> None:
    idle = {"control": RoutedVariant(version="town:v1", weight=0)}
    with pytest.raises(Refused, match="takes traffic"):
        follow(tmp_path / "r", routes(URL, variants=idle)).require().assigned("user:1")


def test_a_version_may_be_called_otherwise_at_its_backend(tmp_path: Path) -> None:
    target = {"town:v1": Target(backend="only", model="base")}
    named = {"control": RoutedVariant(version="town:v1", weight=1)}
    routing = follow(tmp_path / "r", routes(URL, versions=target, variants=named)).require()
    choice = routing.named("control")
    assert choice is not None
    assert choice.model == "base"
