"""A project with a past, for the tests of lineages: a base, an SFT version trained on a file, and a
DPO version trained on what two users said of the former's answers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from llmops.preferences.save import save
from llmops.preferences.snapshot import Snapshot
from llmops.registry.manifest import DataUsed, Draft, Lineage, Manifest
from llmops.registry.store import Registry
from llmops.store.digest import sha256_file
from llmops.store.paths import ProjectPaths
from tests.fast.logged import IDENTITY, write
from tests.fast.models_on_disk import write_full
from tests.fast.said import Said, recipe

SFT = {"kind": "train", "stage": "sft", "base": "town@anchor", "args": {"seed": 1},
       "data": {"train": [{"path": "a.jsonl"}]}, "output": {"model": "town"}}  # fmt: skip


@dataclass
class Traced:
    """root: the project's directory; said: its log, as far as it was written down."""

    root: Path
    said: Said = field(default_factory=Said)

    @property
    def paths(self) -> ProjectPaths:
        return ProjectPaths(self.root)

    @property
    def registry(self) -> Registry:
        return Registry(self.paths)

    def file(self, name: str, text: str = "{}\n") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def add(
        self,
        parent: str | None = None,
        data: Sequence[Path] = (),
        *,
        name: str = "town",
        parts: dict[str, str] | None = None,
        **lineage: Any,
    ) -> Manifest:
        """The next version of `name`, trained from `parent` on these files."""
        used = [
            DataUsed(path=str(one.relative_to(self.root)), sha256=sha256_file(one), samples=9)
            for one in data
        ]
        count = sum(1 for _ in self.paths.models.glob("*/v*"))
        draft = Draft(
            name=name,
            kind="full",
            stage="sft" if parent else "base",
            parts=parts or {},
            lineage=Lineage(parent=parent, data=used, **lineage),
        )
        made = self.root / ".made" / f"{count}"
        return self.registry.add(draft, write_full(made, fill=count % 250 + 1))

    def snapshot(self) -> Snapshot:
        """Of all that was said, which is written down now."""
        write(self.paths, self.said.records, f"town-{len(self.said.records)}")
        return save(self.said.build("votes", "edits"), recipe("votes", "edits"), self.paths)


def traced(root: Path) -> Traced:
    """town:v1, town:v2 (on a.jsonl), town:v3 (on preferences:town@1); v3 is in production."""
    made = Traced(root)
    made.add()
    made.file("recipes/sft.yaml", yaml.safe_dump(SFT))
    sft = {"recipe": "recipes/sft.yaml", "resolved": SFT, "run": "r1", "stage": "sft"}
    made.add("town:v1", [made.file("a.jsonl")], **sft)
    for name in ("ann", "bob"):
        user = IDENTITY.user(name)
        pair = [made.said.ask(f"{name} asks", text, user, version="town:v2") for text in "xy"]
        made.said.vote(*pair, "first", user)
    made.said.edit(made.said.ask("bob?", "well", user, version="town:v1"), "yes", user)
    made.add("town:v2", [made.snapshot().train])
    for number in (2, 3):
        made.registry.move("town", "production", number, why="better")
    return made
