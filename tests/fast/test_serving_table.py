from pathlib import Path

import pytest

from llmops.errors import Failed
from llmops.gateway.routes import Target, Upstream, read_routes
from llmops.serving.pool import Existing
from llmops.serving.resolve import Resolver
from llmops.serving.routing import Routing
from llmops.serving.served import remote
from llmops.serving.table import Table
from llmops.spec.deployment import OpenAIBackend
from llmops.spec.load import load_deployment
from llmops.store.paths import ProjectPaths
from tests.fast.served import TOWN, deployment, register

BACKENDS = {"town:v1": Upstream(url="http://localhost", uds="/s")}
VERSIONS = {f"town:v{n}": Target(backend="town:v1", model=f"town:v{n}") for n in (1, 2)}


def table(project: Path, text: str = TOWN) -> Table:
    spec = load_deployment(deployment(project, text)).spec
    return Table(spec, ProjectPaths(project).deployment("town"))


def write(table: Table, **variants: str) -> bool:
    return table.write(backends=BACKENDS, versions=VERSIONS, variants=variants)


def test_a_change_is_a_new_generation_and_the_same_again_is_none(project: Path) -> None:
    one = table(project)
    assert [write(one, before="town:v1"), write(one, before="town:v1")] == [True, False]
    assert write(one, before="town:v2")
    assert one.generation == 2


def test_generations_go_on_where_an_earlier_server_ended(project: Path) -> None:
    write(table(project), before="town:v1")
    again = table(project)
    assert write(again, before="town:v1")
    assert again.generation == 2


def test_variants_weigh_the_same_unless_told_otherwise(project: Path) -> None:
    text = TOWN + "traffic: {weights: {after: 3}}\n"
    for given, expected in ((TOWN, [1.0, 1.0]), (text, [0.0, 3.0])):
        write(table(project, given), before="town:v1", after="town:v2")
        routes = read_routes(ProjectPaths(project).deployment("town").routes)
        assert routes is not None
        assert [variant.weight for variant in routes.variants.values()] == expected
        assert (routes.salt, routes.log, routes.window) == ("town", "required", 90 * 86400)


def test_a_damaged_table_is_told_with_the_way_out(project: Path) -> None:
    write(table(project), before="town:v1")
    ProjectPaths(project).deployment("town").routes.write_text("{")
    with pytest.raises(Failed, match="remove it"):
        table(project)


OPENAI = """\
name: town
backend: {kind: openai, url: "http://127.0.0.1:1/v1"}
variants:
  ours: {model: "town@best", upstream: big}
"""


def test_a_wish_for_a_version_that_has_traffic_leaves_it_where_it_is(project: Path) -> None:
    registry = register(project)
    registry.move("town", "best", 1, why="")
    loaded = load_deployment(deployment(project, OPENAI))
    assert isinstance(loaded.spec.backend, OpenAIBackend)
    resolver = Resolver(loaded, registry, project)
    pool = Existing(loaded.spec.backend)
    routing = Routing(table(project, OPENAI), pool, lambda _line: None)
    routing.update(resolver.resolve(), [])
    assert resolver.version("town:v1").model == "big"
    routing.update(resolver.resolve(), [remote("town:v1"), remote("town:v2")])
    routes = read_routes(ProjectPaths(project).deployment("town").routes)
    assert routes is not None
    assert {name: to.model for name, to in routes.versions.items()} == {
        "town:v1": "big",
        "town:v2": "town:v2",
    }
