"""`kind: base`: a model made from scratch, from an architecture, texts and a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmops.data.layouts import LAYOUTS
from llmops.engines.contract import BaseJob, Command, DataSet, Engine, Environment, Estimate, Memory
from llmops.engines.shape import shape_of_architecture
from llmops.registry.locate import Located
from llmops.runner.stage import Attempt, Context, Node, Pending, Prepared, Stage
from llmops.spec.recipe import BaseRecipe
from llmops.stages.datasets import data_parts, inspect_all
from llmops.stages.engine_run import register, run_engine
from llmops.stages.history import looked_up, planning_environment
from llmops.stages.parts import value_part
from llmops.store.digest import sha256_json
from llmops.store.run_paths import AttemptPaths

GOLDEN_PROMPTS = 4


@dataclass(frozen=True)
class _Payload:
    engine: Engine
    environment: Environment | None
    texts: Sequence[DataSet]


class Base(Stage):
    """The stage kind of recipes that make a base model."""

    kind = "base"

    def prepare(
        self, node: Node, inputs: Mapping[str, Located | Pending], context: Context
    ) -> Prepared:
        recipe: BaseRecipe = node.spec
        where = node.declared.source.where(("engine",))
        engine = context.find_engine(recipe.engine, where)
        environment, version = planning_environment(recipe.engine, context)
        key = ("tokenizer", "texts")
        texts = inspect_all(node, recipe.tokenizer.texts, key, LAYOUTS, context)
        payload = _Payload(engine, environment, texts)
        parts = _parts(recipe, version, texts)
        found, reasons, _ = looked_up(node, recipe.output.model, parts, context)
        shape = shape_of_architecture(
            recipe.architecture,
            recipe.tokenizer.vocab_size,
            bytes_each=4 if recipe.dtype == "float32" else 2,
        )
        attempt = context.paths.run("<run>").attempt(node.name, 1)
        size = shape.parameters * shape.bytes_each if shape else None
        summary = f"{recipe.architecture.get('model_type', '?')} from scratch"
        if shape:
            summary += f", {shape.parameters / 1e6:.1f}M parameters"
        return Prepared(
            parts=parts,
            output=Pending(node.name, "full", recipe.output.model, shape),
            found=found,
            done=found is not None,
            reasons=reasons,
            estimate=Estimate(Memory({"weights": size}), disk_bytes=2 * size)
            if size
            else Estimate(),
            command=_compile(node, payload, attempt),
            summary=summary,
            payload=payload,
        )

    def execute(self, prepared: Prepared, attempt: Attempt, context: Context) -> Located:
        payload: _Payload = prepared.payload
        environment = context.environment(attempt.node.spec.engine)
        command = payload.engine.compile_base(
            _job(attempt.node, payload, attempt.paths), environment
        )
        run_engine(command, payload.engine, attempt)
        return register(
            attempt,
            context,
            stage="base",
            model=attempt.node.spec.output.model,
            environment=environment,
            engine=payload.engine,
            parts=prepared.parts,
            base=None,
            data=payload.texts,
        )


def _job(node: Node, payload: _Payload, attempt: AttemptPaths) -> BaseJob:
    prompts = [prompt for item in payload.texts for prompt in item.first_prompts]
    return BaseJob(node.declared, payload.texts, attempt, prompts[:GOLDEN_PROMPTS])


def _compile(node: Node, payload: _Payload, attempt: AttemptPaths) -> Command | None:
    """The command as planned; None without the engine."""
    if payload.environment is None:
        return None
    return payload.engine.compile_base(_job(node, payload, attempt), payload.environment)


def _parts(recipe: BaseRecipe, version: str, texts: Sequence[DataSet]) -> dict[str, str]:
    """What the fingerprint covers."""
    tokenizer = recipe.tokenizer.model_dump(exclude={"texts"})
    return {
        "stage": "base",
        "engine": f"{recipe.engine} {version}",
        "seed": str(recipe.seed),
        "dtype": recipe.dtype,
        "tokenizer": sha256_json(tokenizer),
        **{f"architecture.{k}": value_part(v) for k, v in sorted(recipe.architecture.items())},
        **data_parts("tokenizer.texts", texts),
    }
