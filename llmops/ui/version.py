"""One version: what was measured, what it was made of, its golden prompts, who it descends from."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.registry.notes import tags_text
from llmops.ui.evidence import told
from llmops.ui.figure import number, size
from llmops.ui.keeping import delete_button, notes_card
from llmops.ui.lineage import lineage_view
from llmops.ui.links import crumbs, to_run, to_version
from llmops.ui.markup import Html, joined, tag
from llmops.ui.panel import card, code, empty, facts
from llmops.ui.stamp import stamp
from llmops.ui.table import href, table
from llmops.ui.timeline import moves_table
from llmops.ui.versions import alias_chip, how

Found = Mapping[str, Any]


def version_page(
    query: Mapping[str, str], found: Found, evidence: Found, lineage: Found, moves: Html
) -> Html:
    """found, evidence, lineage: of GET /models/NAME/versions/N and below; moves: the card of its
    aliases, or of one promotion."""
    version = str(found["version"])
    name = version.rpartition(":")[0]
    chips = [alias_chip(alias) for alias in found["aliases"]]
    title = tag("div", tag("h2", version, class_="ll-title"), chips, class_="ll-row")
    measured = card("Evidence", told(evidence["items"], version))
    left = tag("div", measured, _metrics(found), _golden(found), class_="ll-stack")
    right = tag("div", moves, card("Made", _made(found)), class_="ll-stack")
    return tag(
        "div",
        crumbs("models", "Models", (name, href({"tab": "models", "model": name})), (version, "")),
        title,
        tag("div", left, right, class_="ll-halves" + (" ll-asks" if query.get("to") else "")),
        card("Lineage", lineage_view(version, lineage)),
        _data(found),
        notes_card(found),
        card("Moves to and from it", moves_table(query, found["history"]))
        if found["history"]
        else None,
        tag("div", delete_button(found), class_="ll-row"),
        class_="ll-stack",
    )


def _made(found: Found) -> Html:
    made: Found = found.get("lineage") or {}
    licences: Found = found.get("licences") or {}
    run = joined(to_run(made.get("run")), f" / {made['stage']}" if made.get("stage") else "")
    engine = " ".join(str(made[key]) for key in ("engine", "engine_version") if made.get(key))
    children = [
        joined(", " if i else "", to_version(one))
        for i, one in enumerate(found.get("children") or ())
    ]
    return facts(
        [
            ("how", how(found)),
            ("is a", found.get("tuning")),
            ("tags", tags_text(found.get("tags") or {})),
            ("trained from", to_version(made["parent"]) if made.get("parent") else None),
            ("base", to_version(found["base"]) if found.get("base") else None),
            ("by run", run if made.get("run") else None),
            ("recipe", made.get("recipe")),
            ("imported from", made.get("imported_from")),
            ("engine", engine),
            ("created", stamp(found["created"])),
            ("size", size(found["size"])),
            ("dtype", found.get("dtype")),
            ("licence", licences.get("own")),
            ("licence of its base", licences.get("base")),
            ("made of it", joined(children) if children else None),
            ("digest", _digest(found.get("digest"))),
            ("fingerprint", _digest(found.get("fingerprint"))),
        ]
    )


def _digest(text: object) -> Html | None:
    whole = str(text or "")
    return tag("span", whole[:16], class_="ll-mono", title=f"sha256 {whole}") if whole else None


def _metrics(found: Found) -> Html:
    metrics: Mapping[str, float] = found.get("metrics") or {}
    rows = [(name, number(value)) for name, value in metrics.items()]
    nothing = empty("No metrics.", "It was not trained here.")
    return card(
        "Metrics of its training",
        table(("Metric", "Value"), rows, caption="metrics", nothing=nothing),
    )


def _golden(found: Found) -> Html:
    count = int(found.get("golden") or 0)
    if not count:
        return card(
            "Golden prompts",
            empty("None.", "Nothing can verify that a server answers as this version does."),
        )
    prompts = f"{count} prompt" + ("s" if count > 1 else "")
    told = (
        f"{prompts}, with the tokens and log-probabilities that the training engine saw. Every "
        "server is compared with them before it gets traffic."
    )
    return card(
        "Golden prompts",
        tag("p", told, class_="ll-quiet"),
        tag("div", code(found.get("first_golden") or ""), class_="ll-wrapped"),
    )


def _data(found: Found) -> Html | None:
    used: Sequence[Found] = (found.get("lineage") or {}).get("data") or ()
    rows = [
        (tag("span", one["path"], class_="ll-mono"), number(one["samples"]), _digest(one["sha256"]))
        for one in used
    ]
    if not rows:
        return None
    return card(
        "Data", table(("File", "Samples", "sha256"), rows, caption="data that went into it")
    )
