"""What judges said, kept: `.llmops/cache/verdicts.jsonl`, by the digest of what was asked.

Losing the file only costs asking again. Lines name the inference that they are about, so that
erasure finds them.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from llmops.spec.preferences import Judge
from llmops.store.atomic import write_text
from llmops.store.digest import sha256_json
from llmops.store.paths import ProjectPaths

FORMAT = 1
Kept = Mapping[str, dict[str, Any]]
"""By key: `inference`, and `text` and `whole` of a sampled answer, or `won` of a comparison:
1 the answer of the log, -1 the sampled one, 0 neither."""


def sample_key(judge: Judge, inference: str) -> str:
    """Of a second answer. A later version does not answer again: the verdict stands."""
    asked = judge.model_dump(include={"sample_from", "temperature", "max_tokens"})
    return sha256_json(["sample", FORMAT, asked, inference])


def verdict_key(judge: Judge, inference: str) -> str:
    """Of the comparison of both."""
    asked = judge.model_dump(include={"url", "model", "criteria"})
    return sha256_json(["verdict", FORMAT, asked, sample_key(judge, inference)])


def kept(paths: ProjectPaths) -> Kept:
    """All that is there; lines that a crash cut off are left aside."""
    from llmops.evaluation.answers import Kept as Answers

    return Answers(paths.verdicts).values


def forget(ids: Collection[str], paths: ProjectPaths) -> None:
    """Remove what is about these inferences, and what cannot be read: it may be about anybody."""
    try:
        # Answers may hold what `splitlines` takes for the end of a line; a record's is "\n" alone.
        lines = paths.verdicts.read_text(encoding="utf-8", errors="replace").split("\n")
    except FileNotFoundError:
        return
    gone = {*ids, None}
    lines = [line for line in lines if line]
    left = [line for line in lines if _about(line) not in gone]
    if len(left) < len(lines):
        write_text(paths.verdicts, "".join(f"{line}\n" for line in left))


def _about(line: str) -> str | None:
    try:
        return str(json.loads(line)["inference"])
    except (ValueError, KeyError, TypeError):
        return None
