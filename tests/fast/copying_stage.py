"""A kind of stage of the tests' own that follows the Stage contract, stands where `train` stands
and writes a tiny model, so that plans and runs are executed without an engine."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.registry.locate import Located, locate
from llmops.registry.manifest import Draft, Lineage
from llmops.runner.fingerprint import fingerprint
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared
from llmops.stages.history import looked_up

RECIPE = """\
kind: train
stage: sft
base: "path:seed"
data: {train: ["path:a.jsonl"]}
args: {max_steps: 1}
output: {model: town}
"""
PIPELINE = """\
name: p
stages:
  first: {recipe: r.yaml, base: "path:seed"}
  second: {recipe: r.yaml, base: "stage:first", set: {args.max_steps: 2}}
  offer: {promote: "stage:second", to: candidate}
"""


def tiny_model(folder: Path, text: str) -> Path:
    """The smallest directory that the registry takes for a full model."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}).encode()
    weights = struct.pack("<Q", len(header)) + header + text.encode()[:1]
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "config.json").write_text(json.dumps({"model_type": text}), encoding="utf-8")
    (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    return folder


def write_project(folder: Path) -> None:
    """A seed, the recipe, and the pipeline of two of it."""
    tiny_model(folder / "seed", "seed")
    (folder / "a.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    (folder / "r.yaml").write_text(RECIPE, encoding="utf-8")
    (folder / "p.yaml").write_text(PIPELINE, encoding="utf-8")


class Copying:
    """Stands where `train` stands; its output is a function of its parts alone."""

    kind = "train"

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.error: BaseException | None = None

    def inputs(self, spec: Any) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        return {"base": (spec.base, ("base",))}

    def moves(self, spec: Any) -> str | None:
        return None

    def prepare(
        self, node: Node, inputs: Mapping[str, Located | Pending], context: Context
    ) -> Prepared:
        base = inputs["base"]
        pending = (base.node,) if isinstance(base, Pending) else ()
        digest = "" if isinstance(base, Pending) else base.digest
        parts = {"base": digest, "args.max_steps": str(node.spec.args["max_steps"])}
        found, reasons, _ = looked_up(node, "town", parts, context)
        output = Pending(node.name, "full", "town")
        done = found is not None and not pending
        return Prepared(parts, output, found, pending, done, reasons)

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        self.ran.append(attempt.node.name)
        if self.error is not None and attempt.node.name == "second":
            raise self.error
        folder = tiny_model(attempt.paths.result, str(sorted(prepared.parts.items())))
        draft = Draft(
            name="town",
            kind="full",
            stage="sft",
            fingerprint=fingerprint(prepared.parts),
            parts=prepared.parts,
            lineage=Lineage(stage=attempt.node.name, recipe="r.yaml", run=attempt.run),
        )
        manifest = context.registry.add(draft, folder)
        return locate(str(manifest.id), context.registry, context.settings.root)
