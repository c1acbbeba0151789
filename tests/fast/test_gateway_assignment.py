"""Who is answered by which variant."""

from collections import Counter

import pytest

from llmops.feedback.identity import Identity
from llmops.gateway.assignment import ranked, shares
from llmops.gateway.replies import Refused
from llmops.gateway.request import parse_request, unit_of

UNITS = [f"user:{number}" for number in range(20_000)]
SECRET = Identity(b"s" * 32)


def assigned(weights: dict[str, float], salt: str = "s") -> list[str]:
    return [ranked(unit, weights, salt)[0] for unit in UNITS]


def test_replicas_agree_whatever_the_order_of_the_table() -> None:
    weights = {"control": 70.0, "candidate": 20.0, "third": 10.0}
    assert assigned(weights) == assigned(dict(reversed(weights.items())))


@pytest.mark.parametrize(
    "weights", [{"a": 90, "b": 10}, {"a": 1, "b": 1}, {"a": 5, "b": 3, "c": 2}]
)
def test_shares_follow_the_weights(weights: dict[str, float]) -> None:
    counted = Counter(assigned(weights))
    for name, share in shares(weights).items():
        deviation = (share * (1 - share) / len(UNITS)) ** 0.5
        assert abs(counted[name] / len(UNITS) - share) < 4 * deviation


def test_a_change_of_weights_moves_as_many_units_as_the_shares_differ_by() -> None:
    before, after = assigned({"a": 90, "b": 10}), assigned({"a": 80, "b": 20})
    moves = Counter(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    assert set(moves) == {("a", "b")}
    assert 0.09 < moves["a", "b"] / len(UNITS) < 0.11


def test_a_new_variant_takes_its_share_and_moves_nobody_else() -> None:
    before, after = assigned({"a": 50, "b": 50}), assigned({"a": 50, "b": 50, "c": 25})
    assert all(new in (old, "c") for old, new in zip(before, after, strict=True))


def test_only_the_ratio_of_the_weights_counts() -> None:
    assert assigned({"a": 9, "b": 1}) == assigned({"a": 0.9, "b": 0.1})


def test_another_salt_is_another_assignment() -> None:
    same = sum(
        a == b
        for a, b in zip(assigned({"a": 1, "b": 1}), assigned({"a": 1, "b": 1}, "t"), strict=True)
    )
    assert 0.48 < same / len(UNITS) < 0.52


def test_a_variant_without_weight_gets_nobody() -> None:
    assert set(assigned({"a": 1, "b": 0})) == {"a"}
    assert ranked("user:1", {"a": 0.0}, "s") == []


ORDER = ("user", "session", "conversation")
HELLO = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "Hello"}]}


def unit(body: dict[str, object], headers: dict[bytes, bytes] | None = None) -> str:
    request = parse_request("chat", HELLO | body, headers or {}, SECRET)
    return unit_of(request, ORDER, "ID", SECRET)


def test_the_unit_is_the_user_then_the_session_then_the_conversation() -> None:
    session = {b"x-session-id": b"s1"}
    assert unit({"user": "ann"}, session) == f"user:{SECRET.user('ann')}"
    assert unit({"safety_identifier": "ann"}) == f"user:{SECRET.user('ann')}"
    assert unit({}, session) == f"session:{SECRET.user('s1')}"
    assert unit({"metadata": {"session_id": "s1"}}) == f"session:{SECRET.user('s1')}"
    assert unit({}).startswith("conversation:")


def test_a_conversation_stays_the_same_as_it_goes_on() -> None:
    later = [
        *HELLO["messages"],
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "?"},
    ]
    other = [HELLO["messages"][0], {"role": "user", "content": "Another"}]
    assert unit({"messages": later}) == unit({})
    assert unit({"messages": other}) != unit({})


def test_the_request_is_the_last_resort() -> None:
    request = parse_request("chat", dict(HELLO), {}, SECRET)
    assert unit_of(request, ("user", "session"), "ID", SECRET) == "request:ID"


def test_names_of_people_are_in_no_record() -> None:
    body = {"user": "ann", "metadata": {"session_id": "s1", "app": "x"}, "prompt_cache_key": "ann"}
    request = parse_request("chat", HELLO | body | {"seed": 1}, {}, SECRET)
    assert request.parameters() == {"metadata": {"app": "x"}, "seed": 1}


@pytest.mark.parametrize(
    "body", [[], {"messages": "x"}, HELLO | {"model": 1}, HELLO | {"stream": 1}]
)
def test_a_key_of_the_wrong_type_is_refused(body: object) -> None:
    with pytest.raises(Refused) as refused:
        parse_request("chat", body, {}, SECRET)
    assert refused.value.status == 400
