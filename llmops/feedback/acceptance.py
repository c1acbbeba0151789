"""What a client may say about an answer: the body of `POST /v1/feedback`, checked and turned into
the record that the journal keeps. docs/rating.md shows every form.

    {"kind": "thumbs", "inference_id": ID, "value": "up"}                    or "down"
    {"kind": "rating", "inference_id": ID, "value": 4, "scale": [1, 5]}
    {"kind": "edit", "inference_id": ID, "text": "what it should have said"}
    {"kind": "comment", "inference_id": ID, "text": "..."}
    {"kind": "choice", "inference_ids": [A, B], "choice": "first"}     or second, tie,
                                                                       both_bad, A, B
    {"kind": "regenerate", "inference_id": KEPT, "replaces": DISCARDED}
    {"kind": "engagement", "inference_id": ID, "name": "copied", "value": 1}
    {"kind": "metric", "inference_id": ID, "name": "resolved", "value": true}

Each may carry event_id, user, time (ISO 8601 with its zone) and source. Touches neither disk nor
network; how large a body may be, and that it is JSON, is for the gateway to see to.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from llmops.feedback import fields
from llmops.feedback.fields import Refused
from llmops.feedback.identity import Foreign, Identity, NotAnId, bare
from llmops.feedback.records import FORMAT, FeedbackKind, FeedbackRecord
from llmops.spec.suggest import did_you_mean

_KEYS: dict[str, tuple[str, ...]] = {
    "thumbs": ("inference_id", "value"),
    "rating": ("inference_id", "value", "scale"),
    "edit": ("inference_id", "text"),
    "comment": ("inference_id", "text"),
    "choice": ("inference_ids", "choice"),
    "regenerate": ("inference_id", "replaces"),
    "engagement": ("inference_id", "name", "value"),
    "metric": ("inference_id", "name", "value"),
}
_COMMON = ("kind", "event_id", "user", "time", "source")


@dataclass(frozen=True)
class _Rights:
    """Which ids may be rated now. window, now: seconds."""

    identity: Identity
    deployment: str
    window: float
    now: float

    def check(self, text: Any, param: str) -> tuple[str, float]:
        """An inference id without its prefix, and when it was made. Raises Refused."""
        if not isinstance(text, str):
            raise Refused(400, f"`{param}` must be the `id` of an answer", param)
        try:
            made = self.identity.time_of(text, self.deployment)
        except Foreign as error:
            raise Refused(403, str(error), param) from None
        except NotAnId as error:
            raise Refused(400, str(error), param) from None
        if made + self.window < self.now:
            hours = self.window / 3600
            limit = f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
            raise Refused(410, f"that answer could be rated for {limit}, which are over", param)
        return bare(text), made


def accept(
    body: Any, *, identity: Identity, deployment: str, window: float, now: float
) -> FeedbackRecord:
    """The record of a feedback event that a client sent. Raises Refused.

    body: the parsed JSON. deployment: whose answers may be rated. window: seconds for which one
    may be. now: seconds since 1970.

    A client's clock may be wrong: its `time` is moved between the making of the answer and now.
    An `event_id` is a client's own name for the event and stands for it together with the answer
    that it is about, so nobody takes another's event's place.
    """
    kind = _kind(body)
    record, made = _SAID[kind](body, _Rights(identity, deployment, window, now))
    record["id"] = fields.event_id(body, record["inference"])
    record["time"] = fields.time(body, record["detail"], made, now)
    record["deployment"] = deployment
    record["kind"] = kind
    if body.get("user") is not None:
        record["user"] = identity.user(fields.text(body, "user", fields.USER_BYTES))
    record["source"] = fields.source(body)
    return record


def _kind(body: Any) -> FeedbackKind:
    """Its kind, once it is known that it has no keys but that kind's."""
    if not isinstance(body, dict):
        raise Refused(400, "a feedback event is a JSON object")
    kind = body.get("kind")
    if not isinstance(kind, str) or kind not in _KEYS:
        raise Refused(400, f"`kind` must be one of: {', '.join(_KEYS)}", "kind")
    allowed = (*_KEYS[kind], *_COMMON)
    for key in body:
        if key not in allowed:
            shown = fields.shown(key)
            hint = did_you_mean(shown, allowed)
            raise Refused(400, f"`{kind}` has no key `{shown}`; {hint}".rstrip("; "), shown)
    for key in _KEYS[kind]:
        if body.get(key) is None and key != "scale" and (kind, key) != ("engagement", "value"):
            raise Refused(400, f"`{kind}` needs `{key}`", key)
    return cast(FeedbackKind, kind)


def _record(inference: str) -> FeedbackRecord:
    """One with every key, about one answer."""
    return FeedbackRecord(
        format=FORMAT,
        type="feedback",
        inference=inference,
        other=None,
        name=None,
        value=None,
        choice=None,
        text=None,
        detail={},
        user=None,
    )


def _about_one(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    inference, made = rights.check(body["inference_id"], "inference_id")
    return _record(inference), made


def _thumbs(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    record, made = _about_one(body, rights)
    if body["value"] not in ("up", "down"):
        raise Refused(400, "`value` must be `up` or `down`", "value")
    record["value"] = 1.0 if body["value"] == "up" else 0.0
    return record, made


def _rating(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    record, made = _about_one(body, rights)
    low, high = fields.scale(body.get("scale"))
    value = fields.number(body["value"], "value")
    if not low <= value <= high:
        raise Refused(400, f"`value` must lie on the scale, {low:g} to {high:g}", "value")
    record["value"] = (value - low) / (high - low)
    record["detail"] = {"scale": [low, high], "value": value}
    return record, made


def _written(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    record, made = _about_one(body, rights)
    text = fields.text(body, "text", fields.TEXT_BYTES)
    if "\0" in text:
        raise Refused(400, "`text` must not hold the character NUL", "text")
    record["text"] = text
    return record, made


def _choice(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    ids = body["inference_ids"]
    if not isinstance(ids, list) or len(ids) != 2:
        raise Refused(400, "`inference_ids` must be a list of two ids", "inference_ids")
    (first, made), (second, later) = (rights.check(text, "inference_ids") for text in ids)
    if first == second:
        raise Refused(400, "`inference_ids` must be two different answers", "inference_ids")
    given = body["choice"]
    words = {w: w for w in ("first", "second", "tie", "both_bad")}
    meaning = {**words, first: "first", second: "second"}
    choice = meaning.get(bare(given)) if isinstance(given, str) else None
    if choice is None:
        expected = "`first`, `second`, `tie`, `both_bad` or one of the two ids"
        raise Refused(400, f"`choice` must be {expected}", "choice")
    record = _record(first)
    record["other"], record["choice"] = second, cast(Any, choice)
    return record, max(made, later)


def _regenerate(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    record, made = _about_one(body, rights)
    record["other"], earlier = rights.check(body["replaces"], "replaces")
    if record["other"] == record["inference"]:
        raise Refused(400, "`replaces` must be another answer", "replaces")
    return record, max(made, earlier)


def _named(body: dict[str, Any], rights: _Rights) -> tuple[FeedbackRecord, float]:
    """An engagement (`value` is 1 unless it says more) or a metric."""
    record, made = _about_one(body, rights)
    value = body.get("value")
    if isinstance(value, bool) and body["kind"] == "metric":
        value = int(value)
    record["name"] = fields.event_name(body["name"])
    record["value"] = fields.number(1 if value is None else value, "value")
    return record, made


_SAID: dict[str, Callable[[dict[str, Any], _Rights], tuple[FeedbackRecord, float]]] = {
    "thumbs": _thumbs,
    "rating": _rating,
    "edit": _written,
    "comment": _written,
    "choice": _choice,
    "regenerate": _regenerate,
    "engagement": _named,
    "metric": _named,
}
