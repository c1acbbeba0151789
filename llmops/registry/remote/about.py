"""What a card tells besides the manifest, gathered: the newest evaluation, the base's own name on
the Hub."""

import json
import re
from collections.abc import Mapping
from typing import Any

from llmops.registry.evidence import Evidence, EvidenceLog
from llmops.registry.manifest import Manifest, VersionId
from llmops.registry.remote.card import About
from llmops.registry.remote.seen import seen
from llmops.registry.store import Registry
from llmops.store.digest import sha256_file


def about(
    version: Manifest, repository: str, aliases: Mapping[str, str], registry: Registry
) -> About:
    return About(
        repository=repository,
        base=_on_the_hub(version.base or version.lineage.parent or "", registry),
        evaluation=_evaluation(version, registry),
        aliases=aliases,
    )


def _on_the_hub(base: str, registry: Registry) -> str | None:
    """ORG/NAME of a base; None where it lies on no Hub, as far as is known here."""
    if named := re.fullmatch(r"hub:([^@]+)(@.*)?", base):
        return named[1]
    try:
        version = VersionId.parse(base)
    except ValueError:
        return None
    known = seen(version.name, registry.paths)
    return known.repository if known and version.number in known.versions else None


def _evaluation(version: Manifest, registry: Registry) -> tuple[Evidence, Mapping[str, Any]] | None:
    """The newest one whose report is here as it was written."""
    pieces = EvidenceLog(registry.paths).of(version.name, str(version.id))
    for piece in reversed(pieces):
        file = registry.root / (piece.file or "")
        if piece.kind == "evaluation" and file.is_file() and sha256_file(file) == piece.digest:
            return piece, json.loads(file.read_bytes())
    return None
