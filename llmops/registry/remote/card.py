"""The model card of a version: README.md, with the Hub's own metadata in front of it.

It says what the version is, what it was made from and how to use it, in names, digests and
figures; no text that anybody wrote or was trained on, no place on a machine. Pure, but for the
reports of evaluations, which its caller reads.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from llmops.registry.evidence import Evidence
from llmops.registry.manifest import DataUsed, Manifest
from llmops.registry.remote.layout import tag
from llmops.registry.remote.licences import hub_licence

_BEGIN, _END = "<!-- aliases -->", "<!-- /aliases -->"
TASK = "text-generation"
Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class About:
    """What a card tells besides the manifest. repository: ORG/NAME that it lies in; base: the
    Hub's name of its base, where it has one; evaluation: the newest evidence from an evaluation
    and its report (evaluation/report.py); aliases: NAME:vN by alias."""

    repository: str
    base: str | None = None
    evaluation: tuple[Evidence, Mapping[str, Any]] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)


def card(manifest: Manifest, about: About) -> str:
    """The whole README.md."""
    parts = (
        f"---\n{_metadata(manifest, about)}\n---\n# {manifest.id}\n",
        _what(manifest, about),
        f"## Aliases\n\n{_BEGIN}\n{_aliases(about.aliases)}{_END}\n",
        _use(manifest, about),
        _origin(manifest),
        _section("Training", ("metric", "value"), _figures(manifest.metrics)),
        _evaluation(about),
    )
    return "\n".join(part for part in parts if part)


def with_aliases(text: str, aliases: Mapping[str, str]) -> str:
    """A card, of whichever version and machine, that says where the aliases stand now."""
    begin, found, rest = text.partition(_BEGIN)
    _, closed, end = rest.partition(_END)
    return f"{begin}{_BEGIN}\n{_aliases(aliases)}{_END}{end}" if found and closed else text


def _metadata(manifest: Manifest, about: About) -> str:
    from huggingface_hub import ModelCardData

    adapter, results = manifest.kind == "adapter", _results(about)
    licence, licence_name = hub_licence(manifest.licences.own or manifest.licences.base)
    known = ModelCardData(
        base_model=about.base,
        base_model_relation=("adapter" if adapter else "finetune") if about.base else None,
        library_name="peft" if adapter else "transformers",
        license=licence,
        license_name=licence_name,
        pipeline_tag=TASK,
        tags=["llmops", manifest.stage, *(["lora"] if adapter else [])],
        model_name=str(manifest.id) if results else None,
        eval_results=results or None,
    )
    return str(known.to_yaml()).strip()


def _results(about: About) -> list[Any]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=TASK,
            dataset_type=one["suite"],
            dataset_name=one["suite"],
            metric_type=one["metric"],
            metric_name=one["metric"],
            metric_value=round(_value(one, one["version"]["estimate"]), 6),
        )
        for one in _metrics(about)
    ]


def _metrics(about: About) -> list[Mapping[str, Any]]:
    return list(about.evaluation[1].get("metrics", [])) if about.evaluation else []


def _value(metric: Mapping[str, Any], figure: float) -> float:
    """A report keeps the mean negative log-likelihood of a perplexity."""
    return math.exp(min(figure, 700.0)) if metric["kind"] == "perplexity" else figure


def _what(manifest: Manifest, about: About) -> str:
    rank = f" of rank {manifest.lora_rank}" if manifest.lora_rank else ""
    kind = f"LoRA adapter{rank}" if manifest.kind == "adapter" else "full model"
    licences = manifest.licences
    rows = [
        ("kind", f"{kind}, stage {manifest.stage}"),
        ("base", _base(manifest, about)),
        ("licence", licences.own or ""),
        ("licence of its base", licences.base or ("unknown" if manifest.base else "")),
        ("dtype", manifest.dtype or ""),
        ("made", manifest.created[:16].replace("T", " ") + " UTC"),
        ("digest", f"`{manifest.digest}`"),
    ]
    return _table(("", ""), [row for row in rows if row[1]])


def _base(manifest: Manifest, about: About) -> str:
    """By the Hub's name and the registry's."""
    names = dict.fromkeys(filter(None, (about.base, _without_place(manifest.base or ""))))
    digest = f" (digest `{manifest.base_digest}`)" if manifest.base_digest else ""
    return ", ".join(f"`{name}`" for name in names) + digest if names else ""


def _without_place(named: str) -> str:
    """Of a directory its name, never its path."""
    return PurePath(named.removeprefix("path:")).name if named.startswith("path:") else named


def _aliases(aliases: Mapping[str, str]) -> str:
    if not aliases:
        return "None names a version yet.\n"
    return _table(("alias", "version"), sorted(aliases.items()))


def _use(manifest: Manifest, about: About) -> str:
    version, at = str(manifest.id), tag(manifest.number)
    repository = about.repository
    lines = [f"llmops models pull {version} --from {repository}", ""]
    if manifest.kind == "full":
        lines.append(f"vllm serve {repository} --revision {at}")
    else:
        folder = f"{manifest.name}-{at}"
        lines += [
            f"hf download {repository} --revision {at} --local-dir {folder}",
            f"vllm serve {about.base or 'BASE'} --enable-lora --max-lora-rank "
            f"{max(8, manifest.lora_rank or 8)} --lora-modules {folder}=./{folder}",
        ]
    text = "\n".join(lines)
    return f"## Use\n\n```sh\n{text}\n```\n"


def _origin(manifest: Manifest) -> str:
    lineage = manifest.lineage
    engine = " ".join(filter(None, (lineage.engine, lineage.engine_version)))
    rows = [
        ("trained from", _without_place(lineage.parent or "")),
        ("recipe", PurePath(lineage.recipe or "").name),
        ("run", " ".join(filter(None, (lineage.run, lineage.stage)))),
        ("engine", engine),
        ("fingerprint", f"`{manifest.fingerprint}`" if manifest.fingerprint else ""),
    ]
    facts = _table(("", ""), [row for row in rows if row[1]])
    data = [
        (
            _data_name(one),
            f"{one.samples:,}",
            f"`{one.sha256}`",
            manifest.licences.data.get(one.reference or "") or "unknown",
        )
        for one in lineage.data
    ]
    text = _table(("data", "samples", "sha256", "licence"), data) if data else ""
    return f"## Made from\n\n{facts}\n{text}" if facts or text else ""


def _data_name(data: DataUsed) -> str:
    """A snapshot of preferences or a Hub repository by its reference, a file without its place."""
    named = data.reference or ""
    return named if named.startswith(("preferences:", "hub:")) else PurePath(data.path).name


def _evaluation(about: About) -> str:
    if about.evaluation is None:
        return ""
    evidence, report = about.evaluation
    confidence = f"{report.get('confidence', 0.95):.0%} interval"
    rows = []
    for one in _metrics(about):
        figures = one["version"]
        ends = (figures.get("low"), figures.get("high"))
        interval = " to ".join("?" if end is None else f"{_value(one, end):.4g}" for end in ends)
        baseline = one.get("baseline")
        other = f"{_value(one, baseline['estimate']):.4g}" if baseline else ""
        estimate = f"{_value(one, figures['estimate']):.4g}"
        rows.append((f"{one['suite']}.{one['metric']}", estimate, interval, other))
    against = _without_place(evidence.against or "baseline")
    gate = "the gate passed" if evidence.passed else "no gate, or not passed"
    said = f"Measured {evidence.time[:10]}, evidence `{evidence.id}`: {gate}.\n"
    table = _table(("metric", "value", confidence, against), rows)
    return f"## Evaluation\n\n{said}\n{table}"


def _figures(metrics: Mapping[str, float]) -> Rows:
    return [(name, f"{value:.6g}") for name, value in sorted(metrics.items())]


def _section(title: str, columns: Sequence[str], rows: Rows) -> str:
    return f"## {title}\n\n{_table(columns, rows)}" if rows else ""


def _table(columns: Sequence[str], rows: Rows) -> str:
    """Nothing without rows."""
    if not rows:
        return ""
    cells = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_cell(one) for one in row)} |\n" for row in cells)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
