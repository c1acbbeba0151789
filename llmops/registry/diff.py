"""How two versions differ, by their manifests and what is recorded beside them."""

from typing import Any

from llmops.registry.evidence import EvidenceLog
from llmops.registry.manifest import Golden, Manifest
from llmops.registry.notes import Notes
from llmops.registry.store import Registry
from llmops.store.facts import differences, flatten

_PLAIN = ("kind", "stage", "base", "base_digest", "lora_rank", "lora_alpha", "dtype")
_MADE = ("parent", "engine", "engine_version", "stopped", "imported_from")


def diff(a: Manifest, b: Manifest, registry: Registry) -> dict[str, Any]:
    """{"a", "b": NAME:vN, "differences": as of store/facts.py, "golden": how the golden prompts
    compare that both have, None where there are none}."""
    found = differences(_facts(a, registry), _facts(b, registry))
    return {"a": str(a.id), "b": str(b.id), "differences": found, "golden": _golden(a, b)}


def used(version: Manifest) -> dict[str, str]:
    """What it was trained on, by file; a snapshot of preferences by its name, whatever its number,
    and a file of the Hub whatever its commit."""
    found = {}
    for one in version.lineage.data:
        name, _, pinned = (one.reference or "").partition("@")
        number, colon, file = pinned.partition(":")
        said = f"{one.samples:,} samples, {one.sha256[:12]}"
        if number and name.startswith(("preferences:", "hub:")):
            found[name + colon + file] = f"@{number[:12]}, {said}"
        else:
            found[one.path] = said
    return found


def _facts(version: Manifest, registry: Registry) -> dict[str, Any]:
    """Everything that is compared but golden prompts, by dotted key."""
    record, made = version.model_dump(), version.lineage.model_dump()
    log = EvidenceLog(registry.paths).of(version.name, str(version.id))
    newest = {one.kind: one for one in log}
    tags = Notes(registry.paths).tags(version.name).get(str(version.id), {})
    return flatten(
        {
            **{key: record[key] for key in _PLAIN},
            **{key: made[key] for key in _MADE},
            "template": record["template"] or {},
            "licences": record["licences"],
            "recipe_file": made["recipe"],
            "recipe": made["resolved"],
            "data": used(version),
            "packages": made["packages"],
            "metrics": version.metrics,
            "files": version.files,
            "evidence": {
                kind: f"{'passed' if one.passed else 'failed'}: {one.summary}"
                for kind, one in newest.items()
            },
            "tags": {key: value or "set" for key, value in tags.items()},
        }
    )


def _golden(a: Manifest, b: Manifest) -> dict[str, Any] | None:
    """same: prompts that both have; tokens, answers: of these, how many are other tokens and have
    other answers; largest: the largest difference of a log-probability, of tokens that follow on
    the same ones."""
    there = {_asked(one): one for one in a.golden}
    pairs = [(there[_asked(one)], one) for one in b.golden if _asked(one) in there]
    if not pairs:
        return None
    return {
        "prompts": [len(a.golden), len(b.golden)],
        "same": len(pairs),
        "tokens": sum(x.prompt_ids != y.prompt_ids for x, y in pairs),
        "answers": sum(x.completion_ids != y.completion_ids for x, y in pairs),
        "largest": max(_largest(x, y) for x, y in pairs),
    }


def _asked(golden: Golden) -> str:
    return str(golden.messages or golden.text)


def _largest(a: Golden, b: Golden) -> float:
    """A log-probability is of the token after the one that it stands beside."""
    tokens = [[*one.prompt_ids, *one.completion_ids] for one in (a, b)]
    largest = 0.0
    for place, (x, y) in enumerate(zip(*tokens, strict=False)):
        if x != y:
            break
        if place:
            largest = max(largest, abs(a.logprobs[place - 1] - b.logprobs[place - 1]))
    return largest
