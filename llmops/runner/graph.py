"""From a recipe or a pipeline to an ordered graph of stages. Reads declarations, nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llmops.errors import BadInput
from llmops.runner.scope import EVERYTHING, Scope, scoped
from llmops.runner.stage import Input, Node, Stage
from llmops.spec.load import Loaded, Override, load_recipe, load_target, resolve_path
from llmops.spec.pipeline import Pipeline, PipelineStage
from llmops.spec.preferences import PreferencesRecipe
from llmops.spec.reference import Reference, parse_reference
from llmops.spec.source import display
from llmops.spec.suggest import did_you_mean


@dataclass(frozen=True)
class Graph:
    """The stages of a run in the order in which they run."""

    name: str
    target: Loaded[Any]
    nodes: list[Node]
    scope: Scope = EVERYTHING
    again: frozenset[str] = frozenset()
    """The stages that are made again, up to date or not."""

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)


def build_graph(
    path: Path,
    overrides: Sequence[str],
    *,
    root: Path,
    kinds: dict[str, Stage],
    scope: Scope = EVERYTHING,
) -> Graph:
    """The graph of `path`, with what its `recipe:` references bring.

    Raises BadInput for a bad declaration, an unknown stage, a cycle, or a pipeline that both reads
    and moves an alias.
    """
    target = load_target(path, overrides)
    builder = _Builder(root=root, kinds=kinds)
    if isinstance(target.spec, Pipeline):
        builder.add_pipeline(target)
        name = target.spec.name
    else:
        builder.add_recipe(target, path.stem, trail=())
        name = path.stem
    nodes = builder.ordered(target)
    _refuse_moving_what_is_read(nodes, kinds)
    _refuse_gates_without_evidence(nodes)
    return scoped(Graph(name=name, target=target, nodes=nodes), scope)


@dataclass
class _Builder:
    root: Path
    kinds: dict[str, Stage]
    nodes: dict[str, Node] = field(default_factory=dict)
    files: dict[Path, str] = field(default_factory=dict)
    """The stage that each recipe file, as it stands, is."""
    snapshots: dict[str, list[str]] = field(default_factory=dict)
    """The stages that make a snapshot of preferences, by its name."""

    def add_pipeline(self, pipeline: Loaded[Pipeline]) -> None:
        recipes = {
            name: self._stage_recipe(pipeline, name, stage)
            for name, stage in pipeline.spec.stages.items()
            if stage.recipe is not None
        }
        self._remember_snapshots(recipes)
        for name, loaded in recipes.items():
            stage = pipeline.spec.stages[name]
            if not (stage.base or stage.model or stage.baseline or stage.set):
                self.files.setdefault(loaded.path, name)
        names = list(pipeline.spec.stages)
        for name, stage in pipeline.spec.stages.items():
            if name in recipes:
                loaded = recipes[name]
                self._add(name, loaded.spec.kind, loaded, loaded.spec, (), names)
            else:
                prefix = ("stages", name)
                self._add(name, "promote", pipeline, stage, prefix, names)
            self._come_after(pipeline, name, stage, names)

    def _remember_snapshots(self, recipes: Mapping[str, Loaded[Any]]) -> None:
        for name, loaded in recipes.items():
            if isinstance(loaded.spec, PreferencesRecipe):
                self.snapshots.setdefault(loaded.spec.output.preferences, []).append(name)

    def _come_after(
        self, pipeline: Loaded[Pipeline], name: str, stage: PipelineStage, names: list[str]
    ) -> None:
        for position, other in enumerate(stage.after):
            if other not in names:
                key = ("stages", name, "after", position)
                fix = did_you_mean(other, names)
                raise pipeline.bad(f"no stage `{other}`", key, fix=fix)
        self.nodes[name] = replace(self.nodes[name], after=tuple(stage.after))

    def _stage_recipe(
        self, pipeline: Loaded[Pipeline], name: str, stage: PipelineStage
    ) -> Loaded[Any]:
        assert stage.recipe is not None
        key = ("stages", name, "recipe")
        path = resolve_path(stage.recipe, beside=pipeline.path, root=self.root)
        if path is None:
            raise pipeline.bad(f"no such recipe: {stage.recipe}", key, fix=_siblings(self.root))
        overrides = [
            Override(k, v, pipeline.source.where(("stages", name, "set", k)))
            for k, v in stage.set.items()
        ]
        for own in ("base", "model", "baseline"):
            if (value := getattr(stage, own)) is not None:
                place = pipeline.source.where(("stages", name, own))
                overrides.append(Override(own, value, place))
        return load_recipe(path, overrides)

    def add_recipe(self, loaded: Loaded[Any], name: str, *, trail: tuple[Path, ...]) -> None:
        """A recipe with what it refers to. trail: the recipes that led here."""
        self.files[loaded.path.resolve()] = name
        self._add(name, loaded.spec.kind, loaded, loaded.spec, (), None, trail)

    def _add(
        self,
        name: str,
        kind: str,
        declared: Loaded[Any],
        spec: Any,
        prefix: tuple[str, ...],
        siblings: list[str] | None,
        trail: tuple[Path, ...] = (),
    ) -> None:
        inputs: dict[str, Input] = {}
        for input_name, (text, key) in self.kinds[kind].inputs(spec).items():
            reference = parse_reference(text)
            place = (*prefix, *key)
            node = self._source(reference, declared, place, siblings, trail)
            inputs[input_name] = Input(reference, place, node)
        self.nodes[name] = Node(name, kind, declared, spec, inputs)

    def _source(
        self,
        reference: Reference,
        declared: Loaded[Any],
        key: tuple[str | int, ...],
        siblings: list[str] | None,
        trail: tuple[Path, ...],
    ) -> str | None:
        """The stage that makes what `reference` names; None when it exists already."""
        if reference.scheme == "stage":
            if siblings is None:
                raise declared.bad(
                    "`stage:` has a meaning only inside a pipeline",
                    key,
                    fix="write `recipe:FILE`, or run the pipeline",
                )
            if reference.target not in siblings:
                fix = did_you_mean(reference.target, siblings)
                raise declared.bad(f"no stage `{reference.target}`", key, fix=fix)
            return reference.target
        if reference.scheme == "preferences":
            return self._snapshot_source(reference.target, declared, key)
        if reference.scheme == "recipe":
            return self._recipe_source(reference.target, declared, key, trail)
        return None

    def _snapshot_source(
        self, name: str, declared: Loaded[Any], key: tuple[str | int, ...]
    ) -> str | None:
        """The stage of this pipeline that makes the snapshot; None for one that exists."""
        makers = self.snapshots.get(name, [])
        if len(makers) > 1:
            raise declared.bad(
                f"several stages make preferences:{name}: {', '.join(makers)}",
                key,
                fix="give their snapshots different names",
            )
        return makers[0] if makers else None

    def _recipe_source(
        self, text: str, declared: Loaded[Any], key: tuple[str | int, ...], trail: tuple[Path, ...]
    ) -> str:
        path = resolve_path(text, beside=declared.path, root=self.root)
        if path is None:
            raise declared.bad(f"no such recipe: {text}", key, fix=_siblings(declared.path.parent))
        here = declared.path.resolve()
        if path == here or path in trail:
            chain = [*trail[trail.index(path) if path in trail else len(trail) :], here, path]
            shown = " -> ".join(display(p) for p in chain)
            raise declared.bad(
                f"the recipes refer to each other in a circle: {shown}",
                key,
                fix="let one of them start from a version, an alias or a path",
            )
        if path in self.files:
            return self.files[path]
        name = _free_name(path.stem, self.nodes)
        self.add_recipe(load_recipe(path), name, trail=(*trail, here))
        return name

    def ordered(self, target: Loaded[Any]) -> list[Node]:
        """Each stage after those that it needs, otherwise as declared."""
        done: dict[str, Node] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in done:
                return
            if name in path:
                circle = " -> ".join([*path[path.index(name) :], name])
                key = ("stages", name) if ("stages" in target.source.data) else ()
                raise target.bad(
                    f"the stages refer to each other in a circle: {circle}",
                    key,
                    fix="let one of them start from a version, an alias or a recipe",
                )
            for needed in sorted(self.nodes[name].needs):
                visit(needed, (*path, name))
            done[name] = self.nodes[name]

        for name in self.nodes:
            visit(name, ())
        return list(done.values())


def _free_name(stem: str, taken: dict[str, Node]) -> str:
    name, number = stem, 2
    while name in taken:
        name, number = f"{stem}-{number}", number + 1
    return name


def _siblings(folder: Path) -> str:
    names = sorted(p.name for p in folder.glob("*.y*ml")) if folder.is_dir() else []
    return "there: " + ", ".join(names[:12]) if names else ""


def _refuse_moving_what_is_read(nodes: list[Node], kinds: dict[str, Stage]) -> None:
    """A plan pins aliases once; one that moves while the run goes on would be read stale."""
    by_name = {node.name: node for node in nodes}
    moved: set[tuple[str, str]] = set()
    for node in nodes:
        alias = kinds[node.kind].moves(node.spec)
        if alias is not None:
            model = _model_of(node, by_name)
            if model is not None:
                moved.add((model, alias))
    for node in nodes:
        for item in node.inputs.values():
            reference = item.reference
            if reference.scheme == "alias" and (reference.target, reference.part) in moved:
                raise BadInput(
                    f"`{reference}` is read by the stage `{node.name}` and moved in the same run",
                    where=node.declared.source.where(item.key),
                    fix="refer to the version, or to `stage:NAME`, instead of the alias",
                )


def _refuse_gates_without_evidence(nodes: list[Node]) -> None:
    """`when: stage:NAME` asks for the evidence of an evaluation that can say no."""
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        item = node.inputs.get("evidence")
        if item is None or item.node is None:
            continue
        source = by_name[item.node]
        place = node.declared.source.where(item.key)
        if source.kind != "evaluate":
            evaluations = [name for name, one in by_name.items() if one.kind == "evaluate"]
            raise BadInput(
                f"stage `{source.name}` ({source.kind}) gives no evidence",
                where=place,
                fix=f"name an evaluation: {', '.join(evaluations) or 'there is none here'}",
            )
        if not source.spec.gate:
            raise BadInput(
                f"the evaluation `{source.name}` has no `gate`: it would let anything pass",
                where=place,
                fix=f"say in {display(source.declared.path)} what its evidence must show",
            )


def _model_of(node: Node, by_name: dict[str, Node]) -> str | None:
    """The name of the model whose alias a stage moves."""
    for item in node.inputs.values():
        if item.node is not None:
            output = getattr(by_name[item.node].spec, "output", None)
            return str(output.model) if output is not None else None
        if item.reference.scheme in ("version", "alias"):
            return item.reference.target
    return None
