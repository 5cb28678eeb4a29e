"""The processes of a program, as /proc tells them: all that it started, wherever they have put themselves."""
import os
import signal

PAGE = os.sysconf("SC_PAGE_SIZE")


def living() -> list:
    """Numbers of all that live. As the first process of its namespace, the runner has everybody else for a child."""
    own = os.getpid()
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != own:
            state = parent_and_state(int(name))
            if state is not None:
                parents[int(name)] = state
    alive = [pid for pid, (_, state) in parents.items() if state not in "ZX"]
    return alive if own == 1 else [pid for pid in alive if descends(pid, own, parents)]


def parent_and_state(pid: int):
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name before it may have spaces and brackets.
            rest = file.read().rpartition(b")")[2].split()
        return int(rest[1]), rest[0].decode()
    except (OSError, ValueError, IndexError):
        return None


def descends(pid: int, ancestor: int, parents: dict) -> bool:
    seen = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid][0]
    return pid == ancestor


def memory_of(pids: list, most: int) -> int:
    """In bytes. Pages that several share are counted once, but only looked at where it matters: that takes long."""
    resident = sum(resident_bytes(pid) for pid in pids)
    if resident <= most or len(pids) == 1:
        return resident
    return sum(proportional_bytes(pid) for pid in pids)


def resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def proportional_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith(b"Pss:"))
    except (OSError, ValueError, StopIteration):
        return resident_bytes(pid)


def kill(pids: list, group: int) -> None:
    """All at once where that can be: what forks while it is counted would get away."""
    if os.getpid() == 1:
        quietly(os.kill, -1, signal.SIGKILL)
        return
    quietly(os.killpg, group, signal.SIGKILL)
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            quietly(os.kill, pid, number)


def reap() -> dict:
    """Ways in which children have ended, by number. Orphans come to the runner, too."""
    ended = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status


def quietly(act, *arguments) -> None:
    try:
        act(*arguments)
    except (ProcessLookupError, PermissionError):
        pass


def killed_for_memory() -> int:
    """How often the kernel has killed something in this container because memory ran out."""
    try:
        with open("/sys/fs/cgroup/memory.events", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
    except (OSError, ValueError, StopIteration):
        return 0
