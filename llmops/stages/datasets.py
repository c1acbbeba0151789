"""The data of a recipe: found, checked, and as parts of a fingerprint."""

from collections.abc import Collection, Sequence

from llmops.engines.contract import DataSet
from llmops.errors import BadInput
from llmops.runner.stage import Context, Node
from llmops.spec.load import resolve_path
from llmops.spec.recipe import DataFile, Layout


def inspect_all(
    node: Node,
    files: Sequence[DataFile],
    key: tuple[str, ...],
    wanted: Collection[Layout],
    context: Context,
) -> list[DataSet]:
    """Each file found and checked. Raises BadInput with the recipe's key and the file's row."""
    found = []
    for position, file in enumerate(files):
        place = node.declared.source.where((*key, position, "path"))
        path = resolve_path(file.path, beside=node.declared.path, root=context.settings.root)
        if path is None:
            raise BadInput(
                f"no such file: {file.path}",
                where=place,
                fix=f"looked beside {node.declared.path.name} and in the project's root",
            )
        found.append(context.inspections.inspect(file, path, where=place, wanted=wanted))
    return found


def data_parts(prefix: str, items: Sequence[DataSet]) -> dict[str, str]:
    """What a fingerprint covers of data: content, layout, columns and limit, not the path."""
    parts = {}
    for position, item in enumerate(items):
        name = f"{prefix}.{position}"
        parts[name] = item.sha256
        parts[f"{name}.layout"] = item.layout
        parts[f"{name}.columns"] = ",".join(f"{k}={v}" for k, v in sorted(item.columns.items()))
        if item.limit is not None:
            parts[f"{name}.limit"] = str(item.limit)
    return parts
