"""One experiment: its question, the verdict and why, the gain and each variant with their
intervals, whether the traffic was split as the weights say, and since when."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.ui.figure import number
from llmops.ui.interval import Interval, Mark, intervals
from llmops.ui.links import split_version, to_experiment, to_version
from llmops.ui.markup import Html, joined, link, tag
from llmops.ui.panel import card, facts, warned
from llmops.ui.served import share_bar
from llmops.ui.stamp import stamp
from llmops.ui.state import badge
from llmops.ui.table import href, table

Found = Mapping[str, Any]
_WORDS = {
    "better": ("done", "better"),
    "not worse": ("done", "not worse"),
    "worse": ("failed", "worse"),
    "undecided": ("running", "undecided so far"),
}
_METHODS = {"bounded": "exact, for bounded outcomes", "normal": "by normal approximation"}


def experiment(found: Found) -> Html:
    """The card. found: as `llmops experiments show --json`."""
    more = verdict(found["verdict"])
    parts = [
        tag("div", _question(found), tag("p", _because(found)), class_="ll-lead-part"),
        _mismatch(found),
        _gain(found),
        _variants(found),
        _ratio(found),
        _stands_on(found),
        _next(found),
    ]
    body = tag("div", [one for one in parts if one is not None], class_="ll-parts")
    return card(to_experiment(found["experiment"]), body, more=more)


def verdict(word: str) -> Html:
    state, text = _WORDS.get(word, ("waiting", word))
    return badge(state, text)


def _question(found: Found) -> Html:
    margin = found.get("not_worse_by")
    goal = f"better, or at most {margin:g} worse," if margin else "better"
    versions: Mapping[str, str] = found.get("versions") or {}
    sides = [
        joined(found[side], " (", to_version(versions[side]), ")")
        if versions.get(side)
        else found[side]
        for side in ("candidate", "control")
    ]
    asked = joined("Is ", sides[0], f" {goal} than ", sides[1], f", by {_outcome(found)}?")
    return tag("p", asked, class_="ll-lead")


def _because(found: Found) -> Html:
    why = str(found["why"])
    return tag(
        "span", why[:1].upper() + why[1:] + ("" if why.endswith(".") else "."), class_="ll-quiet"
    )


def _outcome(found: Found) -> str:
    return (
        "how rarely answers are regenerated"
        if found["outcome"] == "regenerate"
        else str(found["outcome"])
    )


def _mismatch(found: Found) -> Html | None:
    check = found.get("sample_ratio")
    if not check or not check["mismatch"]:
        return None
    return warned(
        tag("strong", "The traffic was not split as the weights say, so nothing can be decided."),
        "Something loses units of one variant: an error, a filter, a client that gives up. Look at "
        "that variant's problems in Models, mend it, and let new units come.",
    )


def _gain(found: Found) -> Html | None:
    """The difference between the two, with what would decide it."""
    interval = found.get("interval")
    if interval is None:
        return None
    margin = found.get("not_worse_by")
    tone = {"better": "good", "not worse": "good", "worse": "bad"}.get(found["verdict"], "quiet")
    marks = [Mark(0.0, "no difference", strong=True)]
    marks += [Mark(-margin, f"worse by {margin:g}")] if margin else []
    label = joined("gain", tag("small", f"{found['confidence']:.0%}, at all times"))
    row = Interval(label, found["gain"], interval[0], interval[1], tone)
    picture = intervals([row], marks, sign=True, caption="the gain of the candidate")
    return _part("Gain of the candidate over the control", picture)


def _variants(found: Found) -> Html | None:
    sides: Sequence[Found] = found.get("variants") or ()
    if not sides:
        return None
    rows = [
        (
            tag("strong", one["variant"]),
            to_version(one["version"]),
            share_bar(one["weight"]),
            number(one["units"]),
            number(one["outcomes"]),
        )
        for one in sides
    ]
    columns = ("Variant", "Version", "Traffic", "Units", "Outcomes")
    listed = table(columns, rows, caption="the variants")
    tones = ("control", "candidate")
    bars = [_bar(one, tone) for one, tone in zip(sides, tones, strict=False)]
    chart = intervals(bars, caption=f"mean {found['outcome']} of each variant")
    return joined(
        _part(f"Mean {found['outcome']} of each variant", chart), _part("Traffic", listed)
    )


def _bar(one: Found, tone: str) -> Interval:
    low, high = one["interval"] or (None, None)
    label = joined(one["variant"], tag("small", one["version"]))
    return Interval(label, one["mean"], low, high, tone)


def _ratio(found: Found) -> Html | None:
    """Per routing table: how many units each variant got, and should have got."""
    check = found.get("sample_ratio")
    if not check or not check["generations"]:
        return None
    rows = []
    for one in check["generations"]:
        share, (control, candidate) = one["share"], one["units"]
        total = control + candidate
        wanted = "not on record" if share is None else f"{share:.0%}"
        got = f"{candidate / total:.1%}" if total else ""
        rows.append((f"{one['generation']}", number(control), number(candidate), got, wanted))
    columns = ("Routing table", "Control", "Candidate", "Candidate got", "Weights say")
    if check["mismatch"]:
        said = badge("failed", "not as the weights say")
    elif all(one["share"] is None for one in check["generations"]):
        said = badge("waiting", "not checked: the weights are not on record")
    else:
        said = badge("passed", "as the weights say")
    left = (
        f"{number(check['unchecked'])} units came while the weights were not on record."
        if check["unchecked"]
        else None
    )
    told = tag("p", said, " ", tag("span", f"p = {check['p']:.2g}", class_="ll-quiet"), " ", left)
    listed = table(columns, rows, caption="units by routing table")
    return _part(
        "Sample ratio",
        told,
        tag("details", tag("summary", "Units by routing table"), listed, class_="ll-details"),
    )


def _stands_on(found: Found) -> Html | None:
    since = found.get("since") or {}
    if found.get("exposures") is None:
        return None
    pairs = [
        ("since", stamp(since.get("time"))),
        ("routing table", since.get("generation")),
        ("exposures", number(found.get("exposures"))),
        ("blocks of units", number(found.get("blocks"))),
        ("interval", _METHODS.get(str(found.get("method")), found.get("method"))),
        ("simulated users", "count too" if found.get("simulated") else "are left out"),
    ]
    return _part("It stands on", facts(pairs))


def _next(found: Found) -> Html | None:
    """What to do with a decision."""
    version = (found.get("versions") or {}).get("candidate")
    name = split_version(str(version or ""))
    if name is None:
        return None
    at = {"tab": "models", "model": name[0], "version": name[1]}
    if found["verdict"] in ("better", "not worse"):
        offer = link(
            f"Promote {version} to production…",
            href({**at, "to": "production"}),
            class_="ll-button ll-primary",
        )
        when = tag("span", f"when: experiment:{found['experiment']}", class_="ll-mono")
        told = joined("A pipeline with ", when, " promotes it by itself. Or do it by hand.")
    elif found["verdict"] == "worse":
        offer = link(f"Look at {version}", href(at), class_="ll-button ll-plain")
        told = joined("The candidate lost: give the control all of the traffic, or offer another.")
    else:
        return tag(
            "p",
            "It may be asked at any time, as often as one likes: the interval holds at all times.",
            class_="ll-quiet",
        )
    return tag("div", tag("span", told, class_="ll-quiet"), offer, class_="ll-switch")


def _part(title: str, *children: object) -> Html:
    return tag("section", tag("h4", title), *children, class_="ll-part")
