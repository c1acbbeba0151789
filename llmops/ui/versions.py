"""The models of a project, and one of them: aliases, versions a page at a time, history."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.evidence import by_version, outcome
from llmops.ui.figure import number
from llmops.ui.links import by, crumbs, to_model, to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, empty
from llmops.ui.promotion import rollback_button
from llmops.ui.served import served
from llmops.ui.stamp import stamp
from llmops.ui.table import href, page, pager, table
from llmops.ui.timeline import moves_table, since, timeline, why

ROWS = 10
MODELS = 12
METRICS = 2
Version = Mapping[str, Any]
Move = Mapping[str, Any]


def by_model(versions: Sequence[Version]) -> dict[str, list[Version]]:
    """Those with aliases come first. versions: of all models, oldest first."""
    found: dict[str, list[Version]] = {}
    for one in versions:
        found.setdefault(str(one["version"]).rpartition(":")[0], []).append(one)
    named = {name for name, of in found.items() if any(one["aliases"] for one in of)}
    return {name: found[name] for name in sorted(found, key=lambda name: (name not in named, name))}


def overview(
    query: Mapping[str, str],
    models: Mapping[str, Sequence[Version]],
    histories: Mapping[str, Sequence[Move]],
    serving: Html,
) -> Html:
    """A page of models. histories: moves of aliases, by model; serving: the card of what is
    served."""
    title = tag("h2", "Models", class_="ll-title")
    if not models:
        return tag("div", title, _no_models(), serving, class_="ll-stack")
    names, following = page(query, list(models), MODELS)
    cards = [_model(name, models[name], histories.get(name) or ()) for name in names]
    listed = joined(tag("div", cards, class_="ll-grid"), pager(query, following))
    return tag("div", title, listed, serving, class_="ll-stack")


def serving_card(deployments: Sequence[Mapping[str, Any]]) -> Html:
    return card("Served now", served(deployments))


def model_page(
    query: Mapping[str, str],
    found: Mapping[str, Any],
    moves: Sequence[Move],
    evidence: Sequence[Mapping[str, Any]],
) -> Html:
    """found: of GET /models/NAME; moves: of its history; evidence: of all its versions."""
    name = str(found["name"])
    history = joined(timeline(moves), moves_table(query, moves))
    return tag(
        "div",
        crumbs("models", "Models", (name, "")),
        tag("h2", name, class_="ll-title"),
        card("Aliases", _aliases(found, moves)),
        card("Versions", _versions(query, found["versions"], evidence)),
        card("What each alias named", history),
        class_="ll-stack",
    )


def alias_chip(alias: str) -> Html:
    return tag("span", alias, class_="ll-alias")


def how(version: Version) -> str:
    """`dpo, adapter of rank 8`."""
    rank = version.get("lora_rank")
    kind = (
        f"adapter of rank {rank}"
        if rank
        else "full model"
        if version["kind"] == "full"
        else version["kind"]
    )
    return f"{version['stage']}, {kind}"


def _model(name: str, versions: Sequence[Version], moves: Sequence[Move]) -> Html:
    aliases = {alias: one["version"] for one in versions for alias in one["aliases"]}
    last = versions[-1]
    count = f"{len(versions)} version" + ("s" if len(versions) > 1 else "")
    newest = joined(
        count, ", the newest ", to_version(last["version"]), " ", stamp(last["created"])
    )
    rows = [
        tag("li", alias_chip(alias), to_version(version))
        for alias, version in sorted(aliases.items())
    ]
    named = (
        tag("ul", rows, class_="ll-aliases")
        if rows
        else tag("p", "No alias names a version yet.", class_="ll-quiet")
    )
    return card(to_model(name), named, tag("p", newest, class_="ll-quiet"), timeline(moves))


def _no_models() -> Html:
    return empty(
        "There is no model yet.",
        "The first run makes one: choose a recipe or the whole pipeline in ",
        link("Train", href({"tab": "train"})),
        ".",
    )


def _aliases(found: Mapping[str, Any], moves: Sequence[Move]) -> Html:
    name = str(found["name"])
    aliases: Mapping[str, str] = found["aliases"]
    before: Mapping[str, str | None] = found.get("rollbacks") or {}
    rows = []
    for alias, version in sorted(aliases.items()):
        move = since(moves, alias) or {}
        when = stamp(move.get("time"))
        back = rollback_button(name, alias, version, before.get(alias))
        rows.append(
            (alias_chip(alias), to_version(version), when, by(move.get("by")), why(move), back)
        )
    nothing = empty("No alias names a version yet.", "Open a version to promote it.")
    columns = ("Alias", "Names", "Since", "By", "Why", "")
    return table(columns, rows, caption=f"the aliases of {name}", nothing=nothing)


def _versions(
    query: Mapping[str, str], versions: Sequence[Version], evidence: Sequence[Mapping[str, Any]]
) -> Html:
    """A page, the newest first."""
    pieces = by_version(evidence)
    newest, following = page(query, list(reversed(versions)), ROWS)
    rows = [_row(one, pieces.get(str(one["version"]), [])) for one in newest]
    columns = ("Version", "Named by", "Made by", "From", "Training", "Evidence", "Created")
    return joined(
        table(columns, rows, caption="versions, the newest first"), pager(query, following)
    )


def _metrics(metrics: Mapping[str, float]) -> Html:
    """The first two, as its manifest has them; all are on the version's page."""
    shown = [
        joined(tag("span", name, class_="ll-quiet"), " ", number(value))
        for name, value in list(metrics.items())[:METRICS]
    ]
    return joined([joined(tag("br") if i else None, one) for i, one in enumerate(shown)])


def _row(one: Version, pieces: Sequence[Mapping[str, Any]]) -> tuple[object, ...]:
    return (
        to_version(one["version"]),
        tag("span", [alias_chip(alias) for alias in one["aliases"]], class_="ll-alias-list")
        if one["aliases"]
        else "",
        how(one),
        to_version(one["parent"]) if one["parent"] else "",
        _metrics(one.get("metrics") or {}),
        outcome(pieces),
        stamp(one["created"]),
    )
