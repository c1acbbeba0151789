"""The likely cause of a failure, in one line, from an attempt's log.

Known symptoms come first, in words; else it is the exception that ended the process. Under torchrun
the last traceback is torchrun's own, and the cause stands in the lines of a rank. What NCCL's
watchdog ends has no traceback: it is C++ that says why.

Symptoms are in the words of torch 2.13 (c10d, NCCL, data loaders), CUDA, transformers 5.6,
huggingface_hub 1.33 with httpx, and the requests of older ones.
"""

import re
from itertools import pairwise
from pathlib import Path

from llmops.engines.contract import Cause

_TAIL = 200_000
_RANK = re.compile(r"^\[rank(\d+)\]: ?")
# Frames are indented; the line that ends a traceback is the exception's name, and what it says.
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*(?:: .*|:)?)$")
_TERMINATED = re.compile(r"^terminate called after throwing an instance of '(.+)'$")
_LAUNCHER = ("torch.distributed.elastic", "subprocess.CalledProcessError", "ChildFailedError")
_SYMPTOMS: tuple[tuple[str, str, str], ...] = (
    (r"CUDA out of memory|OutOfMemoryError", "out of GPU memory: lower "
     "per_device_train_batch_size or cutoff_len", "memory"),
    (r"DefaultCPUAllocator: .*can't allocate|Cannot allocate memory|MemoryError", "out of memory: "
     "lower per_device_train_batch_size or cutoff_len, or use a smaller base", "memory"),
    (r"out of shared memory", "the data loaders' shared memory (/dev/shm) is full: fewer "
     "dataloader_num_workers, or more of it", ""),
    (r"DataLoader worker .*killed by signal: Killed", "killed by the system, most likely out of "
     "memory", "memory"),
    (r"No space left on device|Disk quota exceeded", "no space left on the disk", ""),
    (r"Cannot find valid samples", "no valid samples: every row was dropped by the engine", ""),
    (r"Cannot find sufficient samples", "too little text to fill one sample of cutoff_len tokens: "
     "lower cutoff_len, or set packing: false", ""),
    (r"EADDRINUSE|address already in use", "the port on which the processes meet is in use",
     "passing"),
    (r"couldn't connect to 'https?://|specific connection error when trying to load|"
     r"check your connection and try again|"
     r"\b(?:429|5\d\d) (?:Client|Server) Error|(?:Client|Server) error '(?:429|5\d\d)|"
     r"(?:requests|urllib3|httpx|httpcore)\..*(?:Connect|Timeout|Network|Protocol)",
     "the Hub was not reached", "passing"),
    (r"Connection reset by peer|Connection closed by peer|ECONNRESET|Broken pipe|"
     r"client socket has timed out|Watchdog caught collective|ncclRemoteError|ncclSystemError|"
     r"wait timeout after \d+ms|Timed out waiting|Timed out after \d+ seconds waiting for clients|"
     r"socket \S+ timed out after", "the processes lost each other", "passing"),
    (r"uncorrectable ECC error|ECC error encountered", "the device's memory had an error",
     "passing"),
    (r"Stale file handle|Remote I/O error|Transport endpoint is not connected",
     "the file system was away", "passing"),
    (r"devices? \w* ?is busy|devices are busy or unavailable|Device or resource busy",
     "the device was busy", "passing"),
)  # fmt: skip


def cause(log: Path) -> Cause:
    """Empty when the log says nothing. A symptom counts only in lines that come with an exception,
    because the engine prints its data too."""
    lines = _tail(log)
    last = _exception([_RANK.sub("", line) for line in lines if _RANK.match(line)])
    last = last or _exception(lines) or _terminated(lines) or _error_line(lines)
    known = (Cause(words, kind) for pattern, words, kind in _SYMPTOMS if re.search(pattern, last))
    found = next(known, Cause(last))
    killed = re.search(r"Signal (?:9|SIGKILL)|exitcode *: -9", "\n".join(lines[-40:]))
    if killed and (found.text == last or found.kind == "passing"):
        # What the others say of it, that they lost a connection, is no cause.
        return Cause("killed by the system, most likely out of memory", "memory")
    return found


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return text.replace("\r", "\n").splitlines()


def _exception(lines: list[str]) -> str:
    """The last line of the last traceback that is not the launcher's own."""
    found = ""
    inside = False
    for line in lines:
        if line.startswith("Traceback (most recent call last)"):
            inside = True
        elif inside and (match := _EXCEPTION.match(line)):
            inside = False
            if not any(name in line for name in _LAUNCHER):
                found = match[1]
    return found.strip()


def _terminated(lines: list[str]) -> str:
    """What C++ said as it gave up, with the name of its exception."""
    for line, following in pairwise(lines):
        if match := _TERMINATED.match(line):
            return f"{match[1]}: {following.strip().removeprefix('what():').strip()}"
    return ""


def _error_line(lines: list[str]) -> str:
    for line in reversed(lines):
        if line.startswith("error: "):
            return line.removeprefix("error: ").strip()
    return ""
