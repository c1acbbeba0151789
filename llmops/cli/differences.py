"""How two runs or two versions differ, printed."""

import re
from typing import Any

from llmops.cli.output import note, print_json, print_table


def print_differences(found: dict[str, Any], json: bool) -> None:
    """found: as runner/compare.py and registry/diff.py have it."""
    if json:
        print_json(found)
        return
    rows = [(one["key"], _cell(one["a"]), _changed(one)) for one in found["differences"]]
    if rows:
        print_table("", ("", found["a"], found["b"]), rows)
    else:
        note(f"{found['a']} and {found['b']} do not differ")
    if golden := found.get("golden"):
        print(
            f"golden prompts: {golden['same']} in both; {golden['tokens']} are other tokens, "
            f"{golden['answers']} have other answers; log-probabilities of the same tokens are at "
            f"most {golden['largest']:.4g} apart"
        )


def _changed(one: dict[str, Any]) -> str:
    return _cell(one["b"]) + (f" ({one['delta']:+.6g})" if "delta" in one else "")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return text[:12] if re.fullmatch("[0-9a-f]{64}", text) else text
