"""The registry with many versions, and with a large one.

    python benchmarks/run.py registry

Whole processes over 10,000 versions, of one model and of a hundred, each with as long a manifest as
a training makes; and the registration of a full model beside a loop that hashes and copies the same
files and syncs them. GIGABYTES names its size (2; the goal is stated for 10); the bytes are random,
and lie where the temporary directory is.
"""

import hashlib
import itertools
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.run import command, interleaved, seconds, spread, table
from llmops.registry.integrity import seal_of
from llmops.registry.manifest import DataUsed, Draft, Golden, Lineage, Manifest
from llmops.registry.store import Registry
from llmops.store.paths import ProjectPaths

LLMOPS = str(Path(sys.executable).with_name("llmops"))
VERSIONS = 10_000
SHARDS = 5
PIECE = 1 << 20


def bench_registry(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times = many(folder, rounds)
        rows = [(n, f"{statistics.median(t):.3f} s", spread(t)) for n, t in times.items()]
        table(f"{VERSIONS:,} versions, {rounds} rounds", rows)
    with tempfile.TemporaryDirectory() as name:
        size = float(os.environ.get("GIGABYTES", "2"))
        table(f"Registering {size:g} GB, 3 rounds", registering(Path(name), size, 3))


def many(folder: Path, rounds: int) -> dict[str, list[float]]:
    one, hundred = folder / "one", folder / "hundred"
    make_versions(one, ["town"], VERSIONS)
    make_versions(hundred, [f"town{number}" for number in range(100)], VERSIONS // 100)
    numbers = itertools.count(1)

    def promote() -> None:
        version = f"town:v{next(numbers)}"
        command(
            LLMOPS, "models", "promote", version, "production", "--override", "bench", cwd=one
        )()

    promote()
    sides: dict[str, Callable[[], object]] = {"`llmops --help`": command(LLMOPS, "--help")}
    for project, told in ((one, "one model"), (hundred, "a hundred models")):
        sides[f"`models list`, {told}"] = command(LLMOPS, "models", "list", cwd=project)
        sides[f"`models list --json`, {told}"] = command(
            LLMOPS, "models", "list", "--json", cwd=project
        )
    sides["`models show`"] = command(LLMOPS, "models", "show", "town:v5000", cwd=one)
    sides["`models promote --override`"] = promote
    sides["`models rollback`"] = command(LLMOPS, "models", "rollback", "town", cwd=one)
    first = {name: seconds(call) for name, call in sides.items()}
    print(f"  the first time: {first}")
    return interleaved(sides, rounds)


def make_versions(project: Path, names: list[str], each: int) -> None:
    """Versions of small adapters on one base, as if they had been trained one from the other."""
    from tests.fast.models_on_disk import write_adapter, write_full

    registry = Registry(ProjectPaths(project))
    (project / "seed").mkdir(parents=True)
    (project / "llmops.toml").touch()
    base = write_full(project / "seed" / "base")
    adapter = write_adapter(project / "seed" / "adapter")
    registry.add(Draft(name="base", kind="full", stage="import"), base)
    for name in names:
        draft = Draft(name=name, kind="adapter", stage="dpo", base="base:v1", **trained())
        first = registry.add(draft, adapter)
        for number in range(2, each + 1):
            duplicate(first, number, registry)


def trained() -> dict[str, object]:
    """What a manifest holds besides; about 10 kB."""
    chat = [{"role": "user", "content": "What flows past the old mill?"}]
    figures = [-0.123456789] * 60
    golden = Golden(
        messages=chat,
        prompt_ids=[*range(40)],
        completion_ids=[*range(21)],
        logprobs=figures,
        base_logprobs=figures,
    )
    parts = {key: digest(key) for key in ("base", "data.train", "engine", "options", "seed")}
    data = [DataUsed(path="data/town.jsonl", sha256=digest("data"), samples=1000)]
    return {
        "golden": [golden] * 4,
        "parts": parts,
        "metrics": {"train_loss": 0.5123, "eval_loss": 0.6123, "eval_rewards/accuracies": 0.8125},
        "lineage": Lineage(run="20261101-120000-town", recipe="recipes/dpo.yaml", data=data),
    }


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def duplicate(first: Manifest, number: int, registry: Registry) -> None:
    """Another version of the same files, which take no place."""
    parent = f"{first.name}:v{number - 1}"
    lineage = first.lineage.model_copy(update={"parent": parent})
    changed = {"number": number, "fingerprint": digest(parent), "lineage": lineage, "seal": None}
    record = first.model_copy(update=changed).model_dump(mode="json")
    record["seal"] = seal_of(record)
    folder = registry.paths.version(first.name, number)
    folder.mkdir()
    for file in first.files:
        os.link(registry.directory(first) / file, folder / file)
    (folder / "manifest.json").write_text(json.dumps(record, indent=2), encoding="utf-8")


def registering(folder: Path, gigabytes: float, rounds: int) -> list[tuple[str, str, str]]:
    """A registration in this process, beside the plain loop; each result is removed at once."""
    source = make_model(folder / "model", int(gigabytes * 1e9))
    names = sorted(path.name for path in source.iterdir())
    project = folder / "project"

    def plain() -> None:
        (folder / "copy").mkdir()
        for name in names:
            hash_and_copy(source / name, folder / "copy" / name)

    def register() -> None:
        draft = Draft(name="town", kind="full", stage="sft")
        Registry(ProjectPaths(project)).add(draft, source)

    times: dict[str, list[float]] = {"hash, copy, sync": [], "registration": []}
    for number in range(rounds):
        for (name, found), call in zip(times.items(), (plain, register), strict=True):
            found.append(seconds(call))
            print(f"  round {number + 1}/{rounds} {name}: {found[-1]:.2f} s", flush=True)
            shutil.rmtree(folder / "copy", ignore_errors=True)
            shutil.rmtree(project, ignore_errors=True)
            os.sync()  # what the other side wrote is not this one's to wait for
    ratios = [ours / theirs for theirs, ours in zip(*times.values(), strict=True)]
    rows = [(name, f"{statistics.median(t):.2f} s", spread(t)) for name, t in times.items()]
    ratio = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [*rows, ("ratio, round by round", f"{statistics.median(ratios):.2f}", ratio)]


def make_model(folder: Path, size: int) -> Path:
    """Of SHARDS weight files, each of one tensor of random bytes."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    pieces = size // SHARDS // PIECE
    weight_map = {}
    for number in range(SHARDS):
        shard, end = f"model-{number + 1:05}-of-{SHARDS:05}.safetensors", pieces * PIECE
        header = {f"w{number}": {"dtype": "U8", "shape": [end], "data_offsets": [0, end]}}
        text = json.dumps(header).encode()
        with (folder / shard).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _ in range(pieces):
                file.write(os.urandom(PIECE))
        weight_map[f"w{number}"] = shard
    index = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    return folder


def hash_and_copy(source: Path, target: Path) -> str:
    """The least that anybody who wants a copy and its digest does."""
    known = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while piece := reader.read(PIECE):
            known.update(piece)
            writer.write(piece)
        writer.flush()
        os.fsync(writer.fileno())
    return known.hexdigest()
