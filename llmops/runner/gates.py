"""Gates at the end of a run: one that refused, and that no stage of the run waited for, is told by
the run itself. So `llmops run` of a single evaluation can be asked by its exit code."""

from collections.abc import Mapping, Sequence
from typing import Any

from llmops.errors import GateRefused
from llmops.registry.evidence import Evidence
from llmops.runner.stage import Node


def refuse_unheeded(nodes: Sequence[Node], outputs: Mapping[str, Any]) -> None:
    """Raises GateRefused for the first such gate. outputs: what each stage made, by its name."""
    heeded = {item.node for node in nodes for item in node.inputs.values()}
    for node in nodes:
        made = outputs.get(node.name)
        if node.name in heeded or not isinstance(made, Evidence) or made.passed:
            continue
        if getattr(node.spec, "gate", None):
            raise GateRefused(
                f"{made.version} does not pass: {'; '.join(made.missing)}",
                where=node.declared.source.where(("gate",)),
                fix=f"see {made.file}",
            )
