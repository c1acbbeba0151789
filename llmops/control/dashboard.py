"""The project at a glance: what the page that people leave open asks for every two seconds.

Told from files and short queries; what takes long (the log's figures, experiments) is remembered
(remembered.py). While the database is away, what it knows is missing and `problems` says so.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from llmops.control.loop import loop
from llmops.control.remembered import Remembered
from llmops.errors import Failed, LlmopsError
from llmops.runner.record import utc_now

if TYPE_CHECKING:
    from llmops.control.project import Project

LEAST_SECONDS = 1.0
FIGURES_SECONDS = 5.0
SHOWN = 5
_ACTIVE = ("running", "starting", "queued", "approval")


class Dashboard:
    """The dashboard of a project; however many look, it is made once a second at most."""

    def __init__(self, project: "Project") -> None:
        self._project = project
        self._figures = Remembered(self._count, FIGURES_SECONDS)
        self._remembered = Remembered(self._make, LEAST_SECONDS)

    def get(self) -> dict[str, Any]:
        return self._remembered.get()

    def _make(self) -> dict[str, Any]:
        project, problems = self._project, []
        runs = list(project.run_list.newest_first())
        found: dict[str, Any] = {
            "project": project.settings.root.name,
            "time": utc_now(),
            "models": self._models(),
            "runs": _told(runs),
            "deployments": self._deployments(),
        }
        parts: dict[str, tuple[Callable[[], Any], Any]] = {
            "schedules": (self._schedules, []),
            "waiting": (partial(self._waiting, runs), []),
            "feedback": (self._figures.get, None),
            "experiments": (self._experiments, []),
        }
        for name, (ask, without) in parts.items():
            try:
                found[name] = ask()
            except LlmopsError as error:
                found[name] = without
                problems.append(f"{name}: {error.what}")
        found["loop"] = loop(found, project)
        return {**found, "problems": problems}

    def _models(self) -> list[dict[str, Any]]:
        registry = self._project.registry
        return [
            {
                "name": name,
                "aliases": {a: f"{name}:v{n}" for a, n in registry.aliases(name).items()},
                "versions": len(registry.rows(name)),
            }
            for name in registry.names()
        ]

    def _deployments(self) -> list[dict[str, Any]]:
        keys = ("name", "running", "status", "url", "variants", "experiment")
        return [
            {**{key: one.get(key) for key in keys}, "problems": one.get("problems", {})}
            for one in self._project.deployer.listed()
        ]

    def _schedules(self) -> list[dict[str, Any]]:
        """The next ones first."""
        found = self._project.schedules.list()["items"]
        there = [one for one in found if one["gone"] is None]
        return sorted(there, key=lambda one: (one["next_at"] is None, one["next_at"]))[:SHOWN]

    def _waiting(self, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from llmops.scheduling.approvals import approvals, waiting_stages

        try:
            asked = approvals(self._project.queue)
        except Failed:
            asked = waiting_stages(self._project.paths)
        found = [
            {"kind": "approval", "run": w.run, "stage": w.stage, "what": w.what, "since": w.since}
            for w in asked
        ]
        known = {(one["run"], one["stage"]) for one in found}
        return found + [
            one for one in self._evidence(runs) if (one["run"], one["stage"]) not in known
        ]

    def _evidence(self, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Stages that wait for evidence, of runs that wait."""
        from llmops.runner.record import read_run

        found = []
        for run in (one for one in runs if one["state"] == "waiting"):
            record = read_run(self._project.paths.run(run["id"]))
            for stage in record.stages if record is not None else ():
                if stage.state == "waiting" and stage.error is not None:
                    found.append(
                        {
                            "kind": "evidence",
                            "run": run["id"],
                            "stage": stage.name,
                            "what": stage.error,
                            "since": run["ended"] or run["started"],
                        }
                    )
        return found

    def _experiments(self) -> list[dict[str, Any]]:
        return [
            {"name": one["experiment"], "decision": one["verdict"], "summary": one["why"]}
            for one in self._project.experiments.soon()
        ]

    def _count(self) -> dict[str, int]:
        from llmops.control.figures import figures

        return figures(self._project.database, self._project.clock.now())


def _told(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Of all runs, the newest first."""
    active = [one for one in runs if one["state"] in _ACTIVE]
    counts = dict(Counter(one["state"] for one in runs))
    return {"counts": counts, "active": active[:50], "recent": runs[:SHOWN]}
