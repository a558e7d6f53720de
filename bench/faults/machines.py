"""Machines of their own network on this one: Linux namespaces, joined by a bridge. Needs iproute2 and util-linux.

A machine has its own addresses and ports, so that each runs what a real one would, on the usual ports. Unplugged, it
answers nothing at all, as one without power.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bench.faults.places import HOST, PREFIX

INSIDE = "SEQSERVE_BENCH_ISOLATED"
BRIDGE = "machines"
NAMED = Path("/run/netns")


def isolate(module: str, arguments: Sequence[str]) -> None:
    """Starts this program again in namespaces of its own, where it may make machines; all its processes end with it.

    Args:
        module: what `python -m` runs.
        arguments: its arguments.

    Raises:
        SystemExit: a program that this needs is not installed.
    """
    if os.environ.get(INSIDE):
        _lay_network()
        return
    for program in ("unshare", "ip"):
        if not shutil.which(program):
            raise SystemExit(f"'{program}' is not installed: apt-get install iproute2 util-linux")
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    spaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    reaper = ["bash", "-c", '"$@"; exit $?', "reaper"]  # the first process has to bury orphans
    command = ["unshare", *user, *spaces, *reaper, sys.executable, "-m", module, *arguments]
    os.execvpe("unshare", command, os.environ | {INSIDE: "1"})  # noqa: S606, S607


@dataclass(frozen=True)
class Machine:
    """One machine.

    Attributes:
        name: its name, short and unique.
        address: its IPv4 address.
    """

    name: str
    address: str
    _space: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Puts it up."""
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self.name, "master", BRIDGE, "up")
        _ip("-n", self.name, "addr", "add", f"{self.address}/{PREFIX}", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self.name, "link", "set", device, "up")
        _ip("-n", self.name, "route", "add", "default", "via", HOST)
        object.__setattr__(self, "_space", (NAMED / self.name).stat().st_ino)

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
        """Starts a program on it.

        Args:
            command: program and arguments.
            environment: what is added to our own environment.
            log: file that its output is added to.
        """
        with log.open("ab") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],  # noqa: S607
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def processes(self, text: str = "") -> list[psutil.Process]:
        """Its living processes, all or those with that text in their command line."""
        return [p for p in psutil.process_iter() if self._owns(p) and text in _command_of(p)]

    def kill(self) -> None:
        """Kills all its processes, as a loss of power does."""
        while found := self.processes():  # some start others meanwhile
            for process in found:
                send(process, signal.SIGKILL)
            psutil.wait_procs(found, timeout=2)

    def unplug(self) -> None:
        """Takes it off the network: nothing that it sends or is sent arrives."""
        _ip("link", "set", self.name, "down")

    def plug(self) -> None:
        """Puts it on the network again."""
        _ip("link", "set", self.name, "up")

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return os.stat(f"/proc/{process.pid}/ns/net").st_ino == self._space
        except (FileNotFoundError, ProcessLookupError):  # it has ended
            return False


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Sends a signal to a process, which may have ended."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _lay_network() -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)  # noqa: S607
    _ip("link", "set", "lo", "up")
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{HOST}/{PREFIX}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")  # so that what is meant for the world is refused, not lost
    _ip("route", "add", "unreachable", "default")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S607
