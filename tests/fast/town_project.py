"""A project with three versions of a model, a deployment that tries one against another, and a log
of users who rated them, written by the real journal."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from llmops.gateway.routes import RoutedVariant, Routes, Upstream, write_routes
from llmops.registry.manifest import Draft
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths
from tests.fast import logged
from tests.fast.models_on_disk import write_full

DEPLOYMENT = """\
name: town
variants:
  control: {model: "town@production"}
  candidate: {model: "town@candidate"}
experiment: {control: control, candidate: candidate}
"""
SIDES = ("control", "candidate")


def make_town(root: Path, deployment: str = DEPLOYMENT) -> Registry:
    """town:v1 to v3; production is v1, candidate is v2."""
    paths = ProjectPaths(root)
    registry = Registry(paths)
    for fill in (1, 2, 3):
        source = write_full(root / f"source-{fill}", fill)
        registry.add(Draft(name="town", kind="full", stage="sft"), source)
    registry.move("town", "production", 1, why="first")
    registry.move("town", "candidate", 2, why="offered")
    (root / "serving").mkdir()
    (root / "serving" / "town.yaml").write_text(deployment, encoding="utf-8")
    return registry


def routes(root: Path, generation: int, **weights: float) -> None:
    """A routing table as a supervisor writes it. weights: by variant, versions v1 and v2."""
    table = Routes(
        deployment="town",
        generation=generation,
        written="2026-01-01T00:00:00+00:00",
        backends={"vllm": Upstream(url="http://127.0.0.1:1")},
        versions={},
        variants={
            name: RoutedVariant(version=f"town:v{1 + SIDES.index(name)}", weight=weight)
            for name, weight in weights.items()
        },
        unit=["user"],
        salt="s",
        log="required",
        window=3600.0,
    )
    write_routes(ProjectPaths(root).deployment("town").routes, table)


def answer(number: int, user: int, side: int, **changes: Any) -> dict[str, Any]:
    """User `user` is answered by the control (0) or the candidate (1)."""
    known = {
        "unit": f"user:{user:032d}",
        "user": f"{user:032d}",
        "variant": SIDES[side],
        "version": f"town:v{1 + side}",
    }
    return logged.answer(number, **{**known, **changes})


def rated(
    users: int,
    likes: tuple[float, float],
    *,
    visits: int = 1,
    first: int = 0,
    share: float = 0.5,
    **changes: Any,
) -> list[dict[str, Any]]:
    """Records of users who each visit so often and always rate alike: `likes` of them up, by
    variant. first: the number of the first answer; changes: to the answers."""
    draw = random.Random(first + 1)
    found: list[dict[str, Any]] = []
    for user in range(users):
        side = int(draw.random() < share)
        value = float(draw.random() < likes[side])
        for visit in range(visits):
            number = first + user * visits + visit
            found.append(answer(number, first + user, side, **changes))
            found.append(logged.event(number, value=value, source=changes.get("source")))
    return found


def write_log(root: Path, records: Iterable[Any], writer: str = "town-1") -> None:
    logged.write(ProjectPaths(root), records, writer)
