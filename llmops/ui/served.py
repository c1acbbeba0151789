"""What is served, and by whom: deployments, the version behind each variant, its share."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.button import act
from llmops.ui.links import to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import empty
from llmops.ui.state import badge
from llmops.ui.table import href

Deployment = Mapping[str, Any]


def served(deployments: Sequence[Deployment]) -> Html:
    """Those that run come first."""
    if not deployments:
        return empty(
            "No deployment is declared.", "A file in serving/ that has variants declares one."
        )
    order = sorted(deployments, key=lambda one: (not one["running"], one["name"]))
    return tag("div", [_deployment(one) for one in order], class_="ll-served")


def answering_with(deployments: Sequence[Deployment], name: str, alias: str) -> list[str]:
    """Those that run and have a variant of NAME@ALIAS."""
    asked = f"{name}@{alias}"
    return [
        str(one["name"])
        for one in deployments
        if one["running"]
        and any(variant.get("model") == asked for variant in one["variants"].values())
    ]


def _deployment(one: Deployment) -> Html:
    url = link(one["url"], one["url"]) if one.get("url") else None
    name = tag("div", tag("strong", one["name"]), badge(str(one["status"])), url, class_="ll-row")
    head = tag("div", name, _button(one), class_="ll-switch")
    total = sum(variant.get("weight") or 0 for variant in one["variants"].values())
    rows = [_variant(name, variant, total) for name, variant in one["variants"].items()]
    trouble = [
        tag("p", f"{name}: " if name in one["variants"] else "", text, class_="ll-problem")
        for name, text in (one.get("problems") or {}).items()
    ]
    waits = [
        tag("p", f"{name}: {text}", class_="ll-quiet")
        for name, text in (one.get("waiting") or {}).items()
    ]
    experiment = None
    if one.get("experiment"):
        to = href({"tab": "experiments", "experiment": one["name"]})
        experiment = tag("p", link("compared in an experiment", to), class_="ll-quiet")
    return tag(
        "div",
        head,
        tag("ul", rows, class_="ll-variants") if rows else None,
        trouble,
        waits,
        experiment,
        class_="ll-deployment",
    )


def _button(one: Deployment) -> Html | None:
    """Serve it, or stop it; nothing for a file that does not load."""
    name, file = str(one["name"]), str(one["file"])
    if one["running"]:
        question = f"Stop {name}? It ends what it is answering; then nobody is answered any more."
        label = f"Stop {name}…"
        return act("Stop…", "stop_deployment", name, confirm=question, aria_label=label)
    if one["status"] == "broken":
        return None
    question = f"Serve {name} ({file})?\nIt takes its share of this machine until it is stopped."
    return act("Serve…", "deploy", file, confirm=question, aria_label=f"Serve {name}…")


def _variant(name: str, variant: Mapping[str, Any], total: float) -> Html:
    weight = variant.get("weight")
    share = None if weight is None or not total else weight / total
    version, model = variant.get("version"), variant.get("model")
    shown = to_version(version) if version else tag("span", model, class_="ll-quiet")
    declared = tag("span", model, class_="ll-quiet") if version and model != version else None
    return tag(
        "li",
        tag("span", name, class_="ll-variant-name"),
        tag("span", shown, " ", declared, class_="ll-variant-version"),
        share_bar(share),
    )


def share_bar(share: float | None) -> Html:
    """A part of the traffic, as a bar and a figure."""
    if share is None:
        return joined()
    width = round(100 * share, 1)
    bar = tag("span", tag("span", style=f"width:{width}%"), class_="ll-share", aria_hidden="true")
    return tag(
        "span", bar, tag("span", f"{share:.0%}"), class_="ll-share-of", title="of the traffic"
    )
