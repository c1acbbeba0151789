"""`promote: ... to: ALIAS` in a pipeline: moves an alias to a version, on record."""

from collections.abc import Mapping

from llmops.errors import BadInput
from llmops.registry.locate import Located
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared
from llmops.spec.pipeline import PipelineStage


class Promote:
    """The stage kind that moves an alias."""

    kind = "promote"

    def inputs(self, spec: PipelineStage) -> dict[str, tuple[str, tuple[str | int, ...]]]:
        assert spec.promote is not None
        return {"version": (spec.promote, ("promote",))}

    def moves(self, spec: PipelineStage) -> str | None:
        return spec.to

    def prepare(
        self, node: Node, inputs: Mapping[str, Located | Pending], context: Context
    ) -> Prepared:
        version = inputs["version"]
        alias = str(node.spec.to)
        if isinstance(version, Pending):
            return Prepared(
                parts={"alias": alias, "version": f"pending: {version.node}"},
                pending_on=(version.node,),
                summary=f"{version.model}@{alias}",
            )
        if version.manifest is None:
            where = node.declared.source.where(("stages", node.name, "promote"))
            raise BadInput(f"`{version.id}` is not a registered version", where=where)
        name = version.manifest.name
        current = context.registry.aliases(name).get(alias)
        there = current == version.manifest.number
        before = f"{name}:v{current}" if current else "nothing"
        return Prepared(
            parts={"alias": f"{name}@{alias}", "version": version.id},
            found=version if there else None,
            output=None,
            done=there,
            reasons=() if there else (f"it names {before} now",),
            summary=f"{name}@{alias} -> {version.id}",
            payload=version,
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        version: Located = prepared.payload
        assert version.manifest is not None
        context.registry.move(
            version.manifest.name,
            str(attempt.node.spec.to),
            version.manifest.number,
            why=f"stage {attempt.node.name} of {context.relative(attempt.node.declared.path)}",
            by=f"run {attempt.run}",
        )
        return version
