"""Counting the usable pairs that are new, exactly: in a process of its own, for it reads the log.

    python -m llmops.scheduling.pairs PIPELINE_FILE TRIGGER

Run in the project's directory by the scheduler (looks.py), now and then; prints one
line of JSON: `have`, the pairs that the recipe makes of the log and that its newest snapshot does
not hold; `snapshot`, that one's id; or `error`. It first brings in what the journal holds.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmops.errors import LlmopsError
from llmops.scheduling.declared import preferences_recipe
from llmops.spec.load import load_pipeline
from llmops.spec.settings import Settings, load_settings
from llmops.spec.trigger import named
from llmops.store.paths import ProjectPaths

if TYPE_CHECKING:
    import polars as pl

    from llmops.preferences.snapshot import Snapshot


def count(settings: Settings, file: str, trigger: str) -> dict[str, Any]:
    """The new pairs of a feedback trigger. file: the pipeline's, relative to the project.

    Raises BadInput for what is not declared so, Failed when log or snapshot cannot be read.
    """
    from llmops.preferences.build import build
    from llmops.preferences.snapshot import snapshots
    from llmops.preferences.source import read_log
    from llmops.preferences.verdicts import kept

    paths = ProjectPaths(settings.root)
    pipeline = load_pipeline(settings.root / file)
    found = named(pipeline.spec.triggers).get(trigger)
    if found is None or found.feedback is None:
        raise pipeline.bad(f"no feedback trigger `{trigger}`", ("triggers",))
    recipe = preferences_recipe(pipeline, found.feedback, settings.root).spec
    known = snapshots(recipe.output.preferences, paths)
    log = read_log(settings, recipe, pending=True)
    verdicts = kept(paths) if recipe.builders.judge is not None else None
    rows = build(log, recipe, verdicts).rows
    newest = known[-1] if known else None
    return {
        "have": new(rows, newest) if newest else rows.height,
        "snapshot": newest.id if newest else None,
    }


def new(rows: "pl.DataFrame", newest: "Snapshot") -> int:
    """How many of the rows the snapshot does not hold, by prompt and answers."""
    import polars as pl

    wanted = ("prompt_hash", "chosen", "rejected", "answer", "label")
    held = pl.read_parquet(newest.pairs)
    key = [name for name in wanted if name in rows.columns]
    if not set(key) <= set(held.columns):
        return rows.height  # it was made in another layout
    return rows.join(held.select(key), on=key, how="anti").height


def main() -> None:
    file, trigger = sys.argv[1:]
    try:
        found = count(load_settings(Path.cwd()), file, trigger)
    except LlmopsError as error:
        found = {"error": error.line}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
