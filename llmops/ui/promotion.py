"""Moves of an alias by a person: what stands for a promotion and what is missing, an override with
its reason, and one step back. Control decides; this shows what it would stand on."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmops.ui.button import act
from llmops.ui.client import Problem, segment
from llmops.ui.evidence import Piece, lacks, verdict
from llmops.ui.links import split_version, to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, warned
from llmops.ui.state import badge
from llmops.ui.table import href

if TYPE_CHECKING:
    from llmops.ui.frame import Ask

ALWAYS = ("candidate", "production")
"""Aliases that are offered even before they exist."""


def aliases_card(version: str, aliases: Mapping[str, str]) -> Html:
    """What each alias names now, and a way to have it name this version. aliases: of the model."""
    name = split_version(version) or ("", "")
    names = sorted({*aliases, *ALWAYS})
    rows = []
    for alias in names:
        here = aliases.get(alias) == version
        to = {"tab": "models", "model": name[0], "version": name[1], "to": alias}
        offer = (
            badge("done", "names this version")
            if here
            else link(
                "Promote…",
                href(to),
                class_="ll-button ll-plain",
                aria_label=f"Promote {version} to {alias}…",
            )
        )
        now = (
            to_version(aliases[alias])
            if alias in aliases
            else tag("span", "nothing yet", class_="ll-quiet")
        )
        rows.append(
            tag(
                "li",
                tag("div", tag("strong", alias), tag("span", "names ", now, class_="ll-quiet")),
                offer,
            )
        )
    other = act(
        "Another alias…",
        "promote_other",
        version,
        confirm=f"Which alias shall name {version}?",
        why="Alias (lower-case letters, digits, ., _ and -)",
    )
    return card(
        "Aliases", tag("ul", rows, class_="ll-offers"), tag("div", other, class_="ll-row ll-end")
    )


def sheet(
    version: str,
    alias: str,
    aliases: Mapping[str, str],
    evidence: Mapping[str, Any],
    serving: Sequence[str],
) -> Html:
    """One promotion, before it is done. evidence: of the version, with `missing`; serving: the
    deployments that answer with this alias."""
    name = split_version(version) or ("", "")
    now = aliases.get(alias)
    cancel = link(
        "Not now",
        href({"tab": "models", "model": name[0], "version": name[1]}),
        class_="ll-button ll-plain",
    )
    head = tag("div", _steps(alias, now, version), class_="ll-row ll-steps")
    if now == version:
        return card(f"{alias} names {version} already", head, tag("div", cancel, class_="ll-row"))
    missing = evidence.get("missing") or []
    question = _question(version, alias, now, serving)
    value = f"{version} {alias}"
    if missing:
        go = _override(value, question)
    else:
        go = act(f"Promote to {alias}", "promote", value, confirm=question, kind="primary")
    buttons = tag("div", cancel, go, class_="ll-row ll-end")
    told = _refusal(version, alias, missing)
    return card(f"Promote to {alias}", head, _stands(evidence), told, buttons)


def _override(value: str, question: str) -> Html:
    return act(
        "Promote without this evidence…",
        "promote_override",
        value,
        confirm=f"{question}\nThe evidence is missing; your reason is kept with the version.",
        why="Why all the same?",
        kind="danger",
    )


def _refusal(version: str, alias: str, missing: Sequence[str]) -> Html | None:
    """What control would say, and what to do about it."""
    if not missing:
        return None
    title = tag("strong", f"{version} does not become {alias} on evidence:")
    return warned(title, lacks(missing), _what_to_do())


def rollback_button(name: str, alias: str, now: str, back: str | None) -> Html:
    """back: what the alias would name again; None: it never named anything else."""
    if back is None:
        return act(
            "Roll back", "rollback", "", disabled=True, title=f"{alias} named nothing before {now}"
        )
    question = (
        f"Roll back {name}@{alias} from {now} to {back}?\n"
        f"Deployments that serve {name}@{alias} swap to {back}."
    )
    return act(
        "Roll back…",
        "rollback",
        f"{name} {alias} {now}",
        confirm=question,
        why="Why?",
        kind="danger",
        aria_label=f"Roll back {alias} to {back}…",
    )


async def promote(ask: "Ask") -> None:
    """The act of a sheet's first button."""
    await _promote(ask, override=False)


async def promote_override(ask: "Ask") -> None:
    await _promote(ask, override=True)


async def promote_other(ask: "Ask") -> None:
    """Open the sheet of an alias that was typed in."""
    name = split_version(ask.value)
    if name is not None:
        ask.go(tab="models", model=name[0], version=name[1], to=ask.why.strip())


async def rollback(ask: "Ask") -> None:
    name, alias, leaving = _parts(ask.value, 3)
    body = {"alias": alias, "leaving": leaving, "why": ask.why}
    done = await ask.api.post(f"/models/{segment(name)}/rollback", body)
    _say(ask, name, done)
    ask.go(tab="models", model=name)


async def _promote(ask: "Ask", *, override: bool) -> None:
    version, alias = _parts(ask.value, 2)
    name = split_version(version) or ("", "")
    body = {"version": version, "alias": alias, "override": override, "why": ask.why}
    done = await ask.api.post(f"/models/{segment(name[0])}/promote", body)
    _say(ask, name[0], done)
    ask.go(tab="models", model=name[0], version=name[1])


def _say(ask: "Ask", name: str, done: Mapping[str, Any]) -> None:
    move = done.get("move")
    if not move:
        ask.say("Nothing moved: the alias named that version already.")
        return
    before = f"it was {move['before']}" if move.get("before") else "it is new"
    ask.say(tag("strong", f"{name}@{move['alias']} is {move['version']}"), f"{before}.")


def _parts(value: str, number: int) -> list[str]:
    parts = value.split()
    if len(parts) != number:
        raise Problem("this button is of an older page", fix="load the page again")
    return parts


def _steps(alias: str, now: str | None, version: str) -> Html:
    before = to_version(now) if now else tag("span", "nothing yet", class_="ll-quiet")
    arrow = tag("span", "→", class_="ll-arrow", aria_label="becomes")
    return joined(tag("span", alias, class_="ll-alias"), before, arrow, tag("strong", version))


def _question(version: str, alias: str, now: str | None, serving: Sequence[str]) -> str:
    model = version.partition(":")[0]
    lines = [f"Promote {version} to {alias}?"]
    lines.append(
        f"{model}@{alias} names {now} now." if now else f"{model}@{alias} names nothing yet."
    )
    if serving:
        lines.append(f"Served by {', '.join(serving)}, which will swap to it.")
    return "\n".join(lines)


def _stands(evidence: Mapping[str, Any]) -> Html | None:
    """The piece of evidence that decides."""
    pieces: Sequence[Piece] = evidence.get("items") or []
    one = next((one for one in pieces if one["id"] == evidence.get("decides")), None)
    if one is None:
        return None
    return tag(
        "div",
        tag("div", verdict(one), tag("strong", one["kind"]), class_="ll-row"),
        tag("p", one["summary"]),
        class_="ll-stands",
    )


def _what_to_do() -> Html:
    return tag(
        "p",
        "Evaluate it (a recipe of kind evaluate, with a gate: see ",
        link("Train", href({"tab": "train"})),
        ") or let an experiment compare it: then the promotion needs no override.",
    )
