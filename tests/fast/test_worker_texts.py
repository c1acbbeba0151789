"""The texts that a base's tokenizer is made from, read inside the engine's environment."""

from llmops.engines.llamafactory.worker.texts import _json_rows


def test_a_line_of_json_may_hold_what_unicode_calls_a_line_separator() -> None:
    assert list(_json_rows(['{"text": "one\u2028two"}\n', '{"text": "three"}\n'])) == [
        {"text": "one\u2028two"},
        {"text": "three"},
    ]
