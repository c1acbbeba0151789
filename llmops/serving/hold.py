"""Giving the device back while something else needs it: `while_serving: sleep | stop`.

The holder writes `.llmops/serving/NAME/hold.json` for each running deployment and waits until its
supervisor says `held`; meanwhile the gateway answers 503 with Retry-After. The hold ends when the
holder removes the file, or dies. Servers that are not of this project are left alone, and a
deployment that is started while something holds the device is not held back.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from pydantic import ValidationError

from llmops.errors import BadInput, Failed
from llmops.serving.state import ServingState, read_state, running
from llmops.spec.grammar import Spec
from llmops.store.atomic import create_text
from llmops.store.liveness import is_alive, process_mark
from llmops.store.paths import DeploymentPaths, ProjectPaths

Mode = Literal["share", "sleep", "stop", "refuse"]

LONGEST = 120.0
"""Seconds that a supervisor may take: for answers under way, and for the server to end."""
_PULSE = 0.1


class Held(Spec):
    """pid, mark: of the holder; how: what the servers are to do; why: for who waits."""

    pid: int
    mark: str
    how: Literal["stop", "sleep"]
    why: str = ""


def refuse(mode: Mode, paths: ProjectPaths, *, stage: str, where: str) -> None:
    """Raises BadInput when a stage that declares `mode` cannot run beside what is served now."""
    if mode not in ("refuse", "sleep"):
        return
    for state in running(paths.serving):
        if not state.own:
            continue
        if mode == "refuse":
            raise BadInput(
                f"stage {stage} does not run while deployment `{state.name}` is served",
                where=where,
                fix="stop the server first, or write `while_serving: stop` (or `share`)",
            )
        if state.sleep_problem:
            raise BadInput(
                f"deployment `{state.name}` cannot sleep while stage {stage} runs: "
                f"{state.sleep_problem}",
                where=where,
                fix="write `while_serving: stop` (or `share`)",
            )


def consequence(mode: Mode, paths: ProjectPaths) -> str:
    """What a stage that declares `mode` does to what is served now, for plans; empty: nothing."""
    names = ", ".join(state.name for state in running(paths.serving) if state.own)
    if not names:
        return ""
    return {
        "share": f"runs beside deployment {names}, on the same device",
        "sleep": f"deployment {names} sleeps meanwhile: its gateway answers 503 with Retry-After",
        "stop": f"deployment {names} stops meanwhile: its gateway answers 503 with Retry-After",
        "refuse": f"refused while deployment {names} is served",
    }[mode]


@contextmanager
def holding(
    mode: Mode, paths: ProjectPaths, report: Callable[[str], None], *, why: str = ""
) -> Iterator[None]:
    """Within the block no server of this project uses the device, if `mode` is sleep or stop.

    Raises Failed when a server does not let go of it in time.
    """
    if mode not in ("sleep", "stop"):
        yield
        return
    held: list[DeploymentPaths] = []
    try:
        for state in running(paths.serving):
            if state.own:
                deployment = paths.deployment(state.name)
                mark = process_mark(os.getpid())
                _take(deployment, Held(pid=os.getpid(), mark=mark, how=mode, why=why), report)
                held.append(deployment)
        for deployment in held:
            _await_held(deployment, report)
        yield
    finally:
        for deployment in held:
            deployment.hold.unlink(missing_ok=True)


def current(paths: DeploymentPaths) -> Held | None:
    """The hold of a living process. One whose holder died is removed."""
    try:
        held = Held.model_validate(json.loads(paths.hold.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError):
        paths.hold.unlink(missing_ok=True)
        return None
    if is_alive(held.pid, held.mark):
        return held
    paths.hold.unlink(missing_ok=True)
    return None


def _take(paths: DeploymentPaths, mine: Held, report: Callable[[str], None]) -> None:
    """Wait for another holder to be done, then hold."""
    told = False
    while (other := current(paths)) is not None or not create_text(
        paths.hold, mine.model_dump_json()
    ):
        if other is not None and not told:
            who = other.why or f"process {other.pid}"
            report(f"waiting for {who}, which holds {paths.root.name}'s device")
            told = True
        time.sleep(_PULSE)


def _await_held(paths: DeploymentPaths, report: Callable[[str], None]) -> None:
    report(f"waiting for deployment {paths.root.name} to give the device back")
    deadline = time.monotonic() + LONGEST
    while not _is_held(read_state(paths)):
        if time.monotonic() > deadline:
            raise Failed(
                f"deployment {paths.root.name} did not give the device back in {LONGEST:.0f} s",
                where=str(paths.state),
                fix="look at what its supervisor says, or stop it",
            )
        time.sleep(_PULSE)


def _is_held(state: ServingState | None) -> bool:
    """Whether it lets others use the device: also when it is gone altogether."""
    return state is None or state.status == "held"
