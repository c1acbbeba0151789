"""What changed between two fingerprints, in words."""

from llmops.runner.fingerprint import changes


def test_a_changed_part_is_told_with_both_values() -> None:
    assert changes({"args.lr": "0.001"}, {"args.lr": "0.003"}) == ("args.lr: 0.001 -> 0.003",)


def test_new_and_lost_parts_are_told() -> None:
    assert changes({"a": "1"}, {"b": "2"}) == ("a: no longer set (was 1)", "b: new, 2")


def test_what_is_pending_is_no_change() -> None:
    old = {"data.train.0": "x", "data.train.0.layout": "preference", "data.train.01": "y"}
    new = {"data.train.0": "pending: pairs", "data.train.01": "z"}
    assert changes(old, new) == ("data.train.01: y -> z",)
