import json
from pathlib import Path

import pytest

from llmops.engines.contract import Command
from llmops.registry.store import Registry
from llmops.serving.backends.vllm import ROOM, Server, command, dtype, threads
from llmops.serving.listen import Place
from llmops.serving.plan import vllm_of
from tests.fast.served import planned, register


@pytest.fixture(autouse=True)
def registry(project: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    for name in ("VLLM_CPU_KVCACHE_SPACE", "VLLM_PLUGINS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    return register(project)


def compiled(
    project: Path, *overrides: str, cpu: bool = True, place: Place | None = None, **changes: bool
) -> Command:
    plan = planned(project, *overrides)
    copies = {served.name: project / served.name.replace(":", "-") for served in plan.versions}
    assert plan.environment is not None
    where = place or Place(port=8123)
    server = Server(plan.loads[0], vllm_of(plan.loaded), plan.environment, where, **changes)
    return command(server, copies, cpu=cpu, threads=1)


def after(argv: list[str], flag: str) -> str:
    return argv[argv.index(flag) + 1]


def test_versions_are_served_under_their_names(project: Path) -> None:
    argv = compiled(project).argv
    assert after(argv, "--served-model-name") == "town:v1"
    assert json.loads(after(argv, "--lora-modules")) == {
        "name": "town:v2",
        "path": str(project / "town-v2"),
    }


def test_it_listens_on_loopback_alone(project: Path) -> None:
    argv = compiled(project).argv
    assert after(argv, "--host") == "127.0.0.1"
    assert after(argv, "--port") == "8123"


def test_or_on_a_unix_socket(project: Path) -> None:
    argv = compiled(project, place=Place(uds=project / "backend.sock")).argv
    assert after(argv, "--uds") == str(project / "backend.sock")
    assert "--port" not in argv


def test_no_listed_adapter_is_ever_evicted_and_there_is_room_for_more(project: Path) -> None:
    argv = compiled(project, "backend.lora.slots=1").argv
    assert int(after(argv, "--max-cpu-loras")) == 1 + ROOM


def test_without_adapters_lora_is_on_for_those_to_come(project: Path) -> None:
    argv = compiled(project, "variants.after.model=town:v1").argv
    assert "--enable-lora" in argv
    assert "--lora-modules" not in argv


def test_a_model_that_takes_no_adapters_is_served_without(project: Path) -> None:
    argv = compiled(project, "variants.after.model=town:v1", lora=False).argv
    assert not [argument for argument in argv if argument.startswith("--") and "lora" in argument]


def test_orders_to_sleep_are_taken_only_where_they_may_be(project: Path) -> None:
    assert "VLLM_SERVER_DEV_MODE" not in compiled(project).env
    assert compiled(project, sleeps=True).env["VLLM_SERVER_DEV_MODE"] == "1"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("max_num_seqs=8", ["--max-num-seqs", "8"]),
        ("enable-prefix-caching=false", ["--no-enable-prefix-caching"]),
        ("enable_log_requests=true", ["--enable-log-requests"]),
        ("hf_overrides={a: 1}", ["--hf-overrides", '{"a": 1}']),
        ("allowed_origins=[x]", ["--allowed-origins", '["x"]']),
        ("ignore_patterns=[a, b]", ["--ignore-patterns", "a", "b"]),
    ],
)
def test_options_pass_through_in_vllms_form(project: Path, given: str, expected: list[str]) -> None:
    argv = compiled(project, f"backend.args.{given}").argv
    start = argv.index(expected[0])
    assert argv[start : start + len(expected)] == expected


def test_an_option_of_the_user_replaces_a_default(project: Path) -> None:
    argv = compiled(project, "backend.args.dtype=bfloat16").argv
    assert argv.count("--dtype") == 1
    assert after(argv, "--dtype") == "bfloat16"
    plan = planned(project, "backend.args.dtype=half")
    assert dtype(vllm_of(plan.loaded), plan.loads[0].base) == "float16"


def test_nothing_is_compiled_unless_the_user_wants_it(project: Path) -> None:
    assert compiled(project).env["TORCH_COMPILE_DISABLE"] == "1"
    given = compiled(project, "backend.args.enforce_eager=false")
    assert "TORCH_COMPILE_DISABLE" not in given.env


def test_cpu_defaults_are_left_out_beside_an_accelerator(project: Path) -> None:
    found = compiled(project, cpu=False)
    assert "--enforce-eager" not in found.argv
    assert "OMP_NUM_THREADS" not in found.env


def test_several_workers_keep_vllms_own_executor(project: Path) -> None:
    found = compiled(project, "backend.args.tensor_parallel_size=2")
    assert "--distributed-executor-backend" not in found.argv
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in found.env


def test_nothing_is_downloaded_or_reported(project: Path) -> None:
    env = compiled(project).env
    assert env["HF_HUB_OFFLINE"] == env["VLLM_NO_USAGE_STATS"] == env["DO_NOT_TRACK"] == "1"


def test_the_users_cache_size_and_threads_are_kept(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "VLLM_CPU_KVCACHE_SPACE" not in compiled(project).env
    assert threads() == 3
