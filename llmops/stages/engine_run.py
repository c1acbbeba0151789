"""Running a compiled command as an attempt, and registering what it made."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from llmops.data.convert import write_converted
from llmops.engines.contract import Cause, Command, DataSet, Engine, Environment, Progress
from llmops.environments.machine import memory_kills
from llmops.environments.packages import packages
from llmops.errors import Failed, Interrupted, OutOfMemory, Passing
from llmops.registry.licence import made_from
from llmops.registry.locate import Located, located
from llmops.registry.manifest import DataUsed, Draft, Golden, Lineage, SnapshotUsed
from llmops.registry.template import template_of
from llmops.runner.alarm import Alarm, Alarms
from llmops.runner.fingerprint import fingerprint
from llmops.runner.limits import Limits
from llmops.runner.process import Process, run, tail
from llmops.runner.stage import Attempt, Context
from llmops.spec.recipe import Resources, Watched
from llmops.spec.source import display
from llmops.stages.history import attempts_at
from llmops.stages.sealing import sealing
from llmops.store import logs
from llmops.store.atomic import write_json, write_text


def run_engine(
    command: Command,
    engine: Engine,
    attempt: Attempt,
    beside: Callable[[], None] = lambda: None,
) -> None:
    """Write the command's files, run it, follow it; `beside` is called as it goes, and at its end.
    Raises Failed with the cause, the tail of the log and its path; Interrupted when the user
    stopped it."""
    paths = attempt.paths
    write_files(command, paths.root)
    follower = engine.follow(paths)
    alarms = Alarms()

    limits = Limits(getattr(attempt.node.spec, "resources", Resources()), paths.root)

    def tick(process: Process) -> None:
        if broken := limits.broken(process.pid):
            process.kill()  # what grows past a limit is not asked first
            raise _failed(attempt, f"it takes {broken}")
        for progress in follower.poll():
            attempt.report(progress)
            for alarm in alarms.see(progress):
                _react(alarm, progress, attempt)
        beside()

    correlation = logs.current() or attempt.run
    _head(attempt, correlation)
    env = {**command.env, logs.CORRELATION: correlation}
    killed = memory_kills()
    with sealing(engine, paths):
        code, signalled = run(command.argv, env=env, log=paths.log, cwd=paths.root, tick=tick)
        if signalled is not None:
            what = f"stage {attempt.node.name} was interrupted"
            raise Interrupted(what, where=display(paths.log))
        if code != 0:
            why = ended_by(code, killed < memory_kills(), engine.cause(paths))
            raise _failed(attempt, *why)
        try:
            engine.finished(paths)
        except Failed as error:
            raise _failed(attempt, error.what) from error


def write_files(command: Command, root: Path) -> None:
    """What the command reads, below the attempt's directory."""
    for name, text in command.files.items():
        write_text(root / name, text)
    for name, data in command.copies.items():
        write_converted(data, root / name)


def _react(alarm: Alarm, progress: Progress, attempt: Attempt) -> None:
    """As the recipe declares. Raises Failed for `fail`: leaving its block ends the engine."""
    watched: Watched = getattr(attempt.node.spec, "watch", Watched())
    reaction = watched.reaction(alarm.kind)
    told = f"{alarm.kind}: {alarm.text}"
    if reaction != "off":
        attempt.alarm(alarm, reaction)
    if reaction in ("stop", "fail"):
        write_json(attempt.paths.stop, asdict(alarm))
    if reaction == "fail":
        raise _failed(attempt, f"{told} at step {alarm.step} (`watch: {{{alarm.kind}: fail}}`)")
    if reaction != "off":
        kept = "; training ends, the best checkpoint is kept" if reaction == "stop" else ""
        attempt.report(replace(progress, warning=f"step {alarm.step}: {told}{kept}"))


def _head(attempt: Attempt, correlation: str) -> None:
    """The first line of the engine's log says whose it is."""
    told = f"run {attempt.run}, stage {attempt.node.name}, attempt {attempt.number}"
    attempt.paths.log.parent.mkdir(parents=True, exist_ok=True)
    with attempt.paths.log.open("a", encoding="utf-8") as log:
        log.write(f"llmops: {told}, correlation {correlation}\n")


def ended_by(code: int, killed: bool, found: Cause) -> tuple[str, str]:
    """In words, and of which kind. killed: meanwhile the kernel killed something for its memory."""
    if code == 128 + signal.SIGKILL and killed:
        return "killed by the kernel, because memory was full", "memory"
    if code > 128 and not found.text:
        return f"killed by signal {code - 128}", ""
    return found.text or f"the engine ended with exit code {code}", found.kind


_KINDS: dict[str, type[Failed]] = {"passing": Passing, "memory": OutOfMemory}


def _failed(attempt: Attempt, cause: str, kind: str = "") -> Failed:
    log = attempt.paths.log
    shown = "\n".join(f"    {line}" for line in tail(log).splitlines())
    return _KINDS.get(kind, Failed)(
        f"stage {attempt.node.name} failed: {cause}",
        fix=f"the end of its log, {display(log)}:\n{shown}",
    )


def register(
    attempt: Attempt,
    context: Context,
    *,
    stage: str,
    model: str,
    environment: Environment,
    engine: Engine,
    parts: dict[str, str],
    base: Located | None,
    data: Sequence[DataSet],
) -> Located:
    """The attempt's result as the next version of `model`."""
    finished = engine.finished(attempt.paths)
    adapter = finished.kind == "adapter"
    under = _base_of_adapter(base) if adapter and base else (None, None)
    draft = Draft(
        name=model,
        kind="adapter" if adapter else "full",
        stage=stage,
        base=under[0],
        base_digest=under[1],
        lora_rank=finished.lora_rank,
        template=template_of(
            base.files.directory if adapter and base else finished.directory,
            getattr(attempt.node.spec, "template", None),
        ),
        licences=made_from(base, data),
        fingerprint=fingerprint(parts),
        parts=parts,
        golden=_golden(attempt),
        metrics=finished.metrics,
        lineage=_lineage(attempt, context, environment, base, data, finished.stopped),
    )
    manifest = context.registry.add(draft, finished.directory)
    for paths in attempts_at(fingerprint(parts), context):
        engine.prune(paths)
    return located(manifest, context.registry)


def _lineage(
    attempt: Attempt,
    context: Context,
    environment: Environment,
    base: Located | None,
    data: Sequence[DataSet],
    stopped: str,
) -> Lineage:
    used = [
        DataUsed(
            path=context.relative(one.path),
            sha256=one.sha256,
            samples=one.samples,
            reference=one.reference or None,
        )
        for one in data
    ]
    snapshots = [
        SnapshotUsed(id=one.reference, digest=one.snapshot) for one in data if one.snapshot
    ]
    return Lineage(
        run=attempt.run,
        stage=attempt.node.name,
        attempt=attempt.number,
        recipe=context.relative(attempt.node.declared.path),
        resolved=attempt.node.declared.source.data,
        parent=base.id if base else None,
        data=used,
        preferences=snapshots,
        packages=packages(environment),
        stopped=stopped,
        engine=environment.engine,
        engine_version=environment.version,
    )


def _base_of_adapter(base: Located) -> tuple[str, str]:
    """The full model that an adapter stands on: its parent, or its parent's own base."""
    if base.kind == "adapter":
        assert base.base is not None
        assert base.base_digest is not None
        return base.base, base.base_digest
    return base.id, base.digest


def _golden(attempt: Attempt) -> list[Golden]:
    try:
        text = attempt.paths.golden.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [Golden.model_validate(item) for item in json.loads(text)]
