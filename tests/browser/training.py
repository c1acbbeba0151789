"""Runs of training as the product and its engine leave them: records by RunLog, and in each attempt
the files that LLaMA-Factory writes (trainer_log.jsonl), with made-up figures. No engine runs here;
runs of the real one are looked at in tests/engine.

    python -m tests.browser.training ROOT RUN     a run in hand: writes a step every second
                                                  until SIGTERM, as a training that is watched
"""

import json
import math
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from llmops.runner.alarm import Alarm
from llmops.runner.plan import describe, make_plan
from llmops.runner.record import StageRecord
from llmops.runner.resume import declared_digest
from llmops.runner.run_log import Asked, RunLog
from llmops.runner.stage import Context
from llmops.spec.settings import load_settings
from llmops.stages.catalog import KINDS
from llmops.store.atomic import write_json
from llmops.store.run_paths import AttemptPaths

DAY = 86_400.0


@dataclass(frozen=True)
class Curve:
    """The log of a training of `total` steps, one line each `every` of them. loss: at the first
    and the last; accuracies: of preferences, for DPO."""

    total: int
    every: int
    loss: tuple[float, float]
    rate: float
    accuracies: bool = False
    tokens_per_s: float = 9_400.0

    def line(self, step: int, draw: random.Random) -> dict[str, Any]:
        part = step / self.total
        low, high = self.loss[1], self.loss[0]
        loss = low + (high - low) * math.exp(-5 * part) + draw.gauss(0, 0.015 * high)
        seconds = int(step * 0.8)
        left = int((self.total - step) * 0.8)
        found = {
            "current_steps": step,
            "total_steps": self.total,
            "loss": round(max(loss, 0.01), 4),
            "lr": self.rate * 0.5 * (1 + math.cos(math.pi * part)),
            "epoch": round(3 * part, 2),
            "percentage": round(100 * part, 2),
            "elapsed_time": _clock(seconds),
            "remaining_time": _clock(left),
            "throughput": round(self.tokens_per_s * (1 + draw.gauss(0, 0.02)), 2),
            "total_tokens": int(step * self.tokens_per_s * 0.8),
        }
        if self.accuracies:
            rising = 0.5 + 0.45 * (1 - math.exp(-4 * part)) + draw.gauss(0, 0.02)
            found["accuracy"] = round(min(0.99, rising), 3)
        return found

    def lines(self, until: float = 1.0) -> list[dict[str, Any]]:
        """Up to a part of the whole, with an evaluation halfway and at the end."""
        draw = random.Random(self.total)
        steps = range(self.every, int(self.total * until) + 1, self.every)
        found = []
        for step in steps:
            found.append(self.line(step, draw))
            if step in (self.total, self.total // 2):
                told = {k: found[-1][k] for k in ("current_steps", "total_steps", "epoch")}
                found.append({**told, "eval_loss": round(found[-1]["loss"] * 1.06, 4)})
        return found


CPT = Curve(450, 10, (6.9, 1.1), 3e-3)
SFT = Curve(200, 10, (2.4, 0.31), 1e-3)
DPO = Curve(36, 2, (0.72, 0.19), 5e-4, accuracies=True, tokens_per_s=4_200.0)


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


class PastRun:
    """A run that began `days` ago. state: as it ended; each stage is given as it came out."""

    def __init__(self, root: Path, target: str, days: float, by: str = "cli:mara") -> None:
        context = Context(load_settings(root))
        self._began = time.time() - days * DAY
        self._clock = self._began
        plan = make_plan(root / target, [], context=context, kinds=KINDS)
        name = plan.graph.name
        run = f"{datetime.fromtimestamp(self._began, UTC):%Y%m%d-%H%M%S}-{name}"
        context.paths.run(run).root.mkdir(parents=True)
        stages = [
            StageRecord(name=node.name, kind=node.kind, declared=declared_digest(node))
            for node in plan.graph.nodes
        ]
        asked = Asked(by=by, correlation=f"request-{name}", run=run)
        self.log = RunLog.begin(context.paths, name, target, [], stages, file=target, asked=asked)
        self.log.record = self.log.record.model_copy(update={"started": _iso(self._began)})
        write_json(self.log.paths.plan, describe(plan, context))

    @property
    def id(self) -> str:
        return self.log.record.id

    def trained(self, stage: str, curve: Curve, output: str, seconds: float) -> None:
        paths = self.log.paths.attempt(stage, 1)
        write_attempt(paths, curve.lines())
        self._done(stage, seconds, attempt=1, output=output, digest="0" * 64)

    def done(self, stage: str, seconds: float, output: str | None = None) -> None:
        self._done(stage, seconds, output=output)

    def failed(self, stage: str, curve: Curve, until: float, seconds: float, error: str) -> None:
        paths = self.log.paths.attempt(stage, 1)
        write_attempt(paths, curve.lines(until), error)
        said = "over the last 20 readings 51% of the chosen answers were preferred"
        self.log.alarm(stage, Alarm("no_preference", 18, said), "warn")
        less = "args.per_device_train_batch_size=1 args.gradient_accumulation_steps=8"
        self._done(stage, seconds, state="failed", attempt=1, error=error, proposal=less)

    def end(self, state: Any) -> str:
        self.log.end(state)
        ended = {"ended": _iso(self._clock)}
        self.log.record = self.log.record.model_copy(update=ended)
        write_json(self.log.paths.record, self.log.record.model_dump())
        return self.id

    def _done(self, stage: str, seconds: float, state: Any = "done", **values: Any) -> None:
        began = _iso(self._clock)
        self._clock += seconds
        self.log.stage(stage, state, started=began, seconds=seconds, **values)


def write_attempt(paths: AttemptPaths, lines: list[dict[str, Any]], error: str | None = "") -> None:
    """error: why it ended; empty for an end as it should be, None while it has not."""
    paths.output.mkdir(parents=True)
    write_json(paths.record, {"fingerprint": "0" * 64})
    phases = ["starting", "training", *(["saving", "checking", "done"] if error == "" else [])]
    for phase in phases:
        _append(paths.phases, {"phase": phase, "time": time.time()})
    for line in lines:
        _append(paths.output / "trainer_log.jsonl", line)
    said = ["[INFO] loading configuration file config.json", "[INFO] ***** Running training *****"]
    said += [_said(line) for line in lines if "loss" in line]
    if error:
        said.append(f"Traceback (most recent call last):\n{error}")
    paths.log.write_text("\n".join(said) + "\n", encoding="utf-8")


def _said(line: dict[str, Any]) -> str:
    return str({name: line[name] for name in ("loss", "lr", "epoch", "current_steps")})


def _append(path: Path, line: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def live(root: Path, seconds: float = 1.0) -> None:
    """A turn of the loop in hand, until SIGTERM, which ends it as interrupted."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run = PastRun(root, "pipelines/town.yaml", 0.012, by="schedule:town/feedback")
    for stage in ("base", "cpt", "sft", "anchor", "first"):
        run.log.stage(stage, "reused", output="town:v1")
    run.done("traffic", 62.0)
    run.done("pairs", 4.0, "preferences:town@1")
    curve = Curve(3_000, 10, DPO.loss, DPO.rate, accuracies=True, tokens_per_s=4_200.0)
    draw = random.Random(1)
    begun = range(curve.every, 1_000, curve.every)
    paths = run.log.paths.attempt("dpo", 1)
    run.log.stage("dpo", "running", attempt=1)
    write_attempt(paths, [curve.line(step, draw) for step in begun], error=None)
    print(run.id, flush=True)
    for step in range(1_000, curve.total + 1, curve.every):
        if stop.wait(seconds):
            break
        line = curve.line(step, draw)
        _append(paths.output / "trainer_log.jsonl", line)
        with paths.log.open("a", encoding="utf-8") as file:
            file.write(_said(line) + "\n")
    run.log.stage("dpo", "interrupted")
    run.log.end("interrupted")


if __name__ == "__main__":
    live(Path(sys.argv[1]))
