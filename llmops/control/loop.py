"""The loop as a picture: feedback, pairs, training, the gate, the candidate, production.

Of the model whose alias moved last, or which is trained now. state: idle (nothing yet), ready,
running, waiting, failed.
"""

from typing import TYPE_CHECKING, Any

from llmops.registry.evidence import EvidenceLog

if TYPE_CHECKING:
    from llmops.control.project import Project

_TRAINING = ("train", "base")


def loop(found: dict[str, Any], project: "Project") -> dict[str, Any]:
    """found: the dashboard so far."""
    name = _model(found["models"], project)
    aliases: dict[str, str] = {}
    for one in found["models"]:
        if one["name"] == name:
            aliases = one["aliases"]
    return {
        "model": name,
        "feedback": _feedback(found["feedback"], found["deployments"]),
        "pairs": _pairs(found["schedules"] or [], project),
        "train": _train(found["runs"]),
        "gate": _gate(name, project),
        "candidate": _alias(name, aliases, "candidate"),
        "production": _alias(name, aliases, "production"),
    }


def _part(state: str, text: str, link: str) -> dict[str, str]:
    return {"state": state, "text": text, "link": link}


def _model(models: list[dict[str, Any]], project: "Project") -> str | None:
    last = ("", None)
    for one in models:
        moves = project.registry.history(one["name"])
        last = max(last, (moves[-1].time if moves else "", one["name"]), key=lambda m: m[0])
    return last[1] or (models[0]["name"] if models else None)


def _feedback(figures: dict[str, int] | None, deployments: list[dict[str, Any]]) -> dict[str, str]:
    link = "?tab=feedback"
    if figures is None:
        return _part("failed", "the database does not answer", link)
    if not figures["answers"]:
        served = any(one["running"] for one in deployments)
        return _part("waiting" if served else "idle", "nobody has asked yet", link)
    text = f"{figures['ratings']:,} ratings of {figures['answers']:,} answers"
    return _part("ready", f"{text}; {figures['ratings_24h']:,} in 24 hours", link)


def _pairs(schedules: list[dict[str, Any]], project: "Project") -> dict[str, str]:
    """What the trigger counts, or else the newest snapshot."""
    for one in schedules:
        pairs = one["pairs"]
        if pairs is not None and pairs["have"] is not None:
            text = f"{pairs['have']:,} of {pairs['need']:,} new pairs"
            state = "ready" if pairs["have"] >= pairs["need"] else "waiting"
            return _part(state, text, "?tab=schedules")
    from llmops.preferences.snapshot import snapshot_names, snapshots

    newest = [snapshots(name, project.paths)[-1] for name in snapshot_names(project.paths)]
    if not newest:
        return _part("idle", "no pairs yet", "?tab=feedback")
    last = max(newest, key=lambda one: one.manifest.created)
    return _part("ready", f"{last.counts['train']:,} pairs in {last.id}", "?tab=feedback")


def _train(runs: dict[str, Any]) -> dict[str, str]:
    for run in [*runs["active"], *runs["recent"]]:
        stages = [one for one in run["stages"] if one["kind"] in _TRAINING]
        link = f"?tab=runs&run={run['id']}"
        if run["state"] in ("queued", "starting", "approval"):
            return _part("waiting", f"{run['target']} {run['state']}", link)
        if stages and run["state"] == "running":
            now = next((one["name"] for one in stages if one["state"] == "running"), None)
            text = f"stage {now}" if now else run["target"]
            return _part("running", text, link)
        if stages:
            bad = run["state"] in ("failed", "died", "interrupted")
            return _part("failed" if bad else "ready", f"{run['target']}: {run['state']}", link)
    return _part("idle", "never trained", "?tab=train")


def _gate(name: str | None, project: "Project") -> dict[str, str]:
    if name is None:
        return _part("idle", "nothing to judge", "?tab=models")
    pieces = [one for one in EvidenceLog(project.paths).of(name) if one.kind != "override"]
    asked = [one for one in pieces if one.asks] or pieces
    if not asked:
        return _part("idle", "no evidence yet", f"?tab=models&model={name}")
    last = asked[-1]
    number = last.version.rpartition(":v")[2]
    link = f"?tab=models&model={name}&version={number}"
    return _part("ready" if last.passed else "failed", f"{last.version}: {last.summary}", link)


def _alias(name: str | None, aliases: dict[str, str], alias: str) -> dict[str, str]:
    if name is None or alias not in aliases:
        return _part("idle", f"no {alias} yet", "?tab=models")
    number = aliases[alias].rpartition(":v")[2]
    return _part("ready", aliases[alias], f"?tab=models&model={name}&version={number}")
