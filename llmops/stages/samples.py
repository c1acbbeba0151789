"""What a training stage makes of its data, asked of the engine itself: its tokens, which of them
are trained on, and what is cut off. Nothing is kept."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmops.errors import BadInput, Failed, Interrupted
from llmops.runner.plan import PlannedStage, make_plan
from llmops.runner.process import run, tail
from llmops.runner.stage import Context
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean
from llmops.stages.catalog import KINDS
from llmops.stages.engine_run import write_files
from llmops.stages.train import Train
from llmops.store.run_paths import AttemptPaths


def samples(
    target: Path,
    overrides: Sequence[str] = (),
    *,
    context: Context,
    stage: str = "",
    count: int = 3,
) -> dict[str, Any]:
    """The first samples of a recipe, or of a stage of a pipeline, with figures over the first 2,000
    rows: the object that engines/llamafactory/worker/show.py describes, with `name`.

    Raises BadInput when it trains nothing, or on something that has yet to be made; Failed when
    the engine cannot read the data; Interrupted when the user stopped it.
    """
    planned = _chosen(make_plan(target, overrides, context=context, kinds=KINDS).stages, stage)
    kind = KINDS[planned.node.kind]
    assert isinstance(kind, Train)
    with tempfile.TemporaryDirectory(prefix="llmops-samples-") as folder:
        paths = AttemptPaths(Path(folder))
        command = kind.show(planned.node, planned.prepared, paths, count, context)
        write_files(command, paths.root)
        code, signalled = run(
            command.argv, env=command.env, log=paths.log, cwd=paths.root, tick=lambda _: None
        )
        if signalled is not None:
            raise Interrupted("interrupted")
        if code != 0:
            told = "\n".join(f"    {line}" for line in tail(paths.log).splitlines()[-20:])
            where = display(planned.node.declared.path)
            raise Failed(f"the engine cannot show the samples:\n{told}", where=where)
        shown: dict[str, Any] = json.loads(paths.samples.read_text(encoding="utf-8"))
    return {"name": planned.node.name, **shown}


def _chosen(stages: Sequence[PlannedStage], name: str) -> PlannedStage:
    training = {one.node.name: one for one in stages if one.node.kind == Train.kind}
    last = stages[-1].node.name
    wanted = name or (last if last in training else "")
    if wanted in training:
        return training[wanted]
    if name:
        fix = did_you_mean(name, training) or f"--stage is one of: {', '.join(training)}"
        raise BadInput(f"`{name}` is no training stage of it", fix=fix)
    if not training:
        raise BadInput("it trains nothing, so it has no samples", fix="name a recipe that trains")
    raise BadInput("it has several stages", fix=f"say which: --stage {' | '.join(training)}")
