"""A million feedback events to pairs: seconds, seconds of CPU and peak memory, on two threads.

    python benchmarks/run.py pairs

Each measurement is a process of its own, so that its peak is its own. `frames` begins with frames
in memory (read from Parquet before the clock starts; they are part of the peak) and ends with the
files of a snapshot; `sqlite` is what a run does: the log read from the database, the pairs built,
the snapshot saved. The log is made up: as many answers as events, half of them to prompts that many
ask; few raters say most. Nothing caps them, so that nearly every event goes all the way.
"""

import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
EVENTS = 1_000_000
SIDES = ("frames", "sqlite")
KINDS = {"thumbs": 0.45, "choice": 0.3, "rating": 0.1, "edit": 0.1, "regenerate": 0.05}
RECIPE = {
    "kind": "preferences",
    "deployment": "town",
    "builders": {"votes": {}, "edits": {}, "regenerations": {}, "ratings": {}, "thumbs": {}},
    "per_rater": None,
    "output": {"preferences": "town"},
}

if TYPE_CHECKING:
    import polars as pl


def bench_pairs(rounds: int) -> None:
    from benchmarks.run import table

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side in SIDES:
                found[side].append(measured(side, folder))
                print(f"  round {number + 1}/{rounds} {side}: {found[side][-1]}", flush=True)
    title = f"{EVENTS:,} events to {found['frames'][0]['pairs']:,} pairs, {rounds} rounds"
    table(f"{title}: wall time", [row(side, found[side], "seconds", "s") for side in SIDES])
    table(f"{title}: CPU time", [row(side, found[side], "cpu", "s") for side in SIDES])
    table(f"{title}: peak memory", [row(side, found[side], "peak", "MiB") for side in SIDES])


def row(side: str, runs: list[dict[str, Any]], figure: str, unit: str) -> tuple[str, str, str]:
    values = [run[figure] for run in runs]
    spread = f"{min(values):.1f} to {max(values):.1f} {unit}"
    return side, f"{statistics.median(values):.1f} {unit}", spread


def measured(side: str, folder: Path) -> dict[str, Any]:
    """One run in a fresh process on two threads."""
    done = subprocess.run(
        [sys.executable, __file__, side, str(folder)],
        env={**os.environ, "POLARS_MAX_THREADS": "2", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def run_side(side: str, folder: Path) -> dict[str, Any]:
    import polars as pl

    from llmops.preferences.build import build
    from llmops.preferences.log import Log
    from llmops.preferences.save import save
    from llmops.preferences.source import read_log
    from llmops.spec.preferences import PreferencesRecipe
    from llmops.spec.settings import Settings
    from llmops.store.paths import ProjectPaths

    recipe = PreferencesRecipe.model_validate(RECIPE)
    settings = Settings(root=folder, cache=folder / "cache")
    log = None
    if side == "frames":
        answers, events = (pl.read_parquet(folder / f"{name}.parquet") for name in LOG)
        log = Log(flagged(answers).rename({"user": "asker"}), flagged(events), 0)
    began, cpu = time.perf_counter(), time.process_time()
    log = log or read_log(settings, recipe)
    read = time.perf_counter()
    built = build(log, recipe)
    done = time.perf_counter()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        save(built, recipe, ProjectPaths(Path(out)))
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "cpu": round(time.process_time() - cpu, 2),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "read": round(read - began, 2),
        "build": round(done - read, 2),
        "pairs": built.rows.height,
    }


LOG = ("inferences", "feedback")


def flagged(frame: "pl.DataFrame") -> "pl.DataFrame":
    """As the database's rows are read: nothing stands against any of them."""
    import polars as pl

    gone = ("finish", "error", "source", "redacted", "endpoint")
    no = pl.lit(False)
    flags = dict.fromkeys(("broken", "erased", "completion", "simulated"), no)
    return frame.drop(gone, strict=False).with_columns(whole=pl.lit(True), **flags)


def prepare(folder: Path) -> None:
    """The same log as Parquet and in a database."""
    import polars as pl

    from llmops.feedback.batch import insert
    from llmops.feedback.rows import FEEDBACK_COLUMNS, INFERENCE_COLUMNS
    from llmops.spec.settings import Settings
    from llmops.store.database import open_database, writing

    frames = dict(zip(LOG, made_log(EVENTS), strict=True))
    for name, frame in frames.items():
        frame.write_parquet(folder / f"{name}.parquet")
    fixed = {"deployment": "town", "generation": 1, "stream": 0, "status": 200, "received": 1}
    fixed |= {"variant": "control", "version": "town:v1", "unit": "user:x"}
    database = open_database(Settings(root=folder, cache=folder / "cache"))
    for name, columns in zip(LOG, (INFERENCE_COLUMNS, FEEDBACK_COLUMNS), strict=True):
        for part in frames[name].iter_slices(50_000):
            whole = part.with_columns(
                pl.lit(fixed.get(column)).alias(column)
                for column in columns
                if column not in part.columns
            )
            rows = whole.select(columns).rows()
            with writing(database) as connection:
                insert(connection, rows if name == LOG[0] else [], rows if name == LOG[1] else [])
    database.dispose()


def made_log(events: int, seed: int = 1) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """inferences and events, with the columns that builders read."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(seed)
    users = pl.Series([f"{n:032x}" for n in range(max(1, events // 20))])
    popular = rng.integers(0, max(1, events // 200), events)
    prompts = np.where(rng.random(events) < 0.5, popular, rng.integers(0, events // 4, events))
    prompts = np.sort(prompts)  # answers to one prompt lie side by side, so that votes find two
    answers = made_answers(prompts, users, rng)
    return answers, made_events(answers["id"], prompts, users, rng)


def made_texts(rows: int, length: int, rng: Any) -> "pl.Series":
    import polars as pl

    words = pl.Series([f"word{n}" for n in range(2000)])
    picked = {str(n): words.gather(rng.integers(0, 2000, rows)) for n in range(length)}
    return pl.DataFrame(picked).select(pl.concat_str(pl.all(), separator=" ")).to_series()


def made_users(count: int, users: "pl.Series", rng: Any) -> "pl.Series":
    """A few say most."""
    import numpy as np

    return users.gather((rng.pareto(1.2, count) * 20).astype(np.int64) % users.len())


def made_answers(prompts: Any, users: "pl.Series", rng: Any) -> "pl.DataFrame":
    import numpy as np
    import polars as pl

    asked = made_texts(int(prompts.max()) + 1, 12, rng)
    quoted = '[{"content":"' + pl.col("asked") + '","role":"user"}]'
    messages = pl.DataFrame({"asked": asked}).select(quoted).to_series()
    hashes = pl.Series([hashlib.sha256(m.encode()).hexdigest() for m in messages])
    number = pl.Series(np.arange(len(prompts)))
    return pl.DataFrame(
        {
            "id": number,
            "time": number + 1_700_000_000_000,
            "user": made_users(len(prompts), users, rng),
            "prompt_hash": hashes.gather(prompts),
            "messages": messages.gather(prompts),
            "response": made_texts(len(prompts), 25, rng),
        }
    ).with_columns(
        id="a" + pl.col("id").cast(pl.String).str.zfill(39),
        finish=pl.lit("stop"),
        error=pl.lit(None, pl.String),
        source=pl.lit(None, pl.String),
        redacted=pl.lit(None, pl.Int64),
        endpoint=pl.lit("chat"),
    )


def made_events(ids: "pl.Series", prompts: Any, users: "pl.Series", rng: Any) -> "pl.DataFrame":
    import numpy as np
    import polars as pl

    count = len(prompts)
    about = rng.integers(0, count - 1, count)
    kind = rng.choice(list(KINDS), count, p=list(KINDS.values()))
    two = np.isin(kind, ["choice", "regenerate"]) & (prompts[about] == prompts[about + 1])
    kind = np.where(~two & np.isin(kind, ["choice", "regenerate"]), "thumbs", kind)
    draw, is_kind = pl.col("draw"), pl.col("kind")
    vote = pl.when(draw < 0.45).then(pl.lit("first")).when(draw < 0.9).then(pl.lit("second"))
    thumb = pl.when(is_kind == "thumbs").then((draw < 0.7).cast(pl.Float64))
    return pl.DataFrame(
        {
            "id": np.arange(count),
            "kind": kind,
            "inference": ids.gather(about),
            "second": ids.gather(about + 1),
            "two": two,
            "draw": rng.random(count),
            "user": made_users(count, users, rng),
            "new": made_texts(count, 8, rng),
        }
    ).select(
        *("inference", "kind", "user"),
        id="e" + pl.col("id").cast(pl.String).str.zfill(39),
        time=pl.col("id") + 1_700_000_100_000,
        other=pl.when("two").then("second"),
        value=thumb.when(is_kind == "rating").then((draw * 4).round() / 4),
        choice=pl.when(is_kind == "choice").then(vote.otherwise(pl.lit("tie"))),
        text=pl.when(is_kind == "edit").then("new"),
        source=pl.lit(None, pl.String),
        redacted=pl.lit(None, pl.Int64),
    )


if __name__ == "__main__":
    print(json.dumps(run_side(sys.argv[1], Path(sys.argv[2]))))
