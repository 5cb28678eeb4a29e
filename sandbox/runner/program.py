"""Starts the program, watches it, and kills all of it when it is over or when it goes too far."""
import asyncio
import codecs
import os
import signal
import time

import confine
import processes
import signals
import workspace

WATCH_S = 0.02
MEASURE_FILES_S = 0.25
GATHER_S = 0.005
KILL_S = 10


class Program:
    def __init__(self, job, place: workspace.Workspace, tell) -> None:
        """tell(event) hands on what the program prints."""
        self.job = job
        self.place = place
        self.tell = tell
        self.loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        self.reason = None
        self.status = None
        self.printed = 0
        self.overflowed = False
        self.streams = {}

    def stop(self, reason: str) -> None:
        """The first reason counts."""
        self.reason = self.reason or reason
        self.stopped.set()

    async def run(self) -> dict:
        oom_before = processes.killed_for_memory()
        started = time.monotonic()
        timer = self.loop.call_later(self.job.limits["timeoutMs"] / 1000, self.stop, "TimedOut")
        signals.on(signal.SIGCHLD, self.look_for_end)
        self.start()
        watches = [asyncio.ensure_future(watch) for watch in (self.watch_processes(), self.watch_files())]
        # Without its watches no program goes on.
        over = asyncio.ensure_future(self.stopped.wait())
        await asyncio.wait([over, *watches], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        await self.kill()
        for watch in (over, *watches):
            if watch.done():
                watch.result()
            watch.cancel()
        duration = int((time.monotonic() - started) * 1000)
        self.print_rest()
        if self.reason == "Exited":
            self.reason = self.told_by_status(oom_before)
        return {"reason": self.reason, "durationMs": duration, **self.exit_code()}

    def start(self) -> None:
        ends = [os.pipe(), os.pipe()]
        self.pid = os.fork()
        if self.pid == 0:
            become(self.job, self.place, [write for _, write in ends])
        for (read, write), name in zip(ends, ("stdout", "stderr")):
            os.close(write)
            os.set_blocking(read, False)
            self.streams[read] = Stream(name)
            self.loop.add_reader(read, self.read, read)

    def read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 65536)
        except BlockingIOError:
            return
        stream = self.streams[descriptor]
        if not data:
            self.close(descriptor)
            return
        room = self.job.limits["outputBytes"] - self.printed
        self.printed += min(len(data), room)
        stream.take(data[:room])
        # Many small pieces make one event.
        if stream.waiting is None:
            stream.waiting = self.loop.call_later(GATHER_S, self.flush, stream)
        if len(data) > room:
            self.overflowed = True
            self.stop("OutputExceeded")

    def flush(self, stream, final: bool = False) -> None:
        if stream.waiting:
            stream.waiting.cancel()
            stream.waiting = None
        text = stream.text(final)
        if text:
            self.tell({stream.name: text})

    def close(self, descriptor: int) -> None:
        self.loop.remove_reader(descriptor)
        os.close(descriptor)
        self.flush(self.streams.pop(descriptor), final=True)

    def print_rest(self) -> None:
        """Nobody writes any more, so what is in the pipes is all there will be."""
        for descriptor in list(self.streams):
            while descriptor in self.streams:
                before = self.printed
                self.read(descriptor)
                if descriptor in self.streams and self.printed == before:
                    self.close(descriptor)

    def look_for_end(self) -> None:
        ended = processes.reap()
        if self.pid in ended:
            self.status = ended[self.pid]
            self.stop("Exited")

    async def watch_processes(self) -> None:
        limits = self.job.limits
        while True:
            living = processes.living()
            if len(living) > limits["processes"]:
                self.stop("ProcessesExceeded")
            elif processes.memory_of(living, limits["memoryBytes"]) > limits["memoryBytes"]:
                self.stop("MemoryExceeded")
            await asyncio.sleep(WATCH_S)

    async def watch_files(self) -> None:
        while True:
            started = time.monotonic()
            if self.place.is_beyond(self.job.limits["fileBytes"]):
                self.stop("FilesExceeded")
            # Many files take long to look at.
            await asyncio.sleep(MEASURE_FILES_S + 10 * (time.monotonic() - started))

    async def kill(self) -> None:
        deadline = time.monotonic() + KILL_S
        while True:
            living = processes.living()
            if not living or time.monotonic() > deadline:
                break
            processes.kill(living, self.pid)
            await asyncio.sleep(0.002)
            processes.reap()
        processes.reap()

    def told_by_status(self, oom_before: int) -> str:
        if os.WIFSIGNALED(self.status):
            number = os.WTERMSIG(self.status)
            if number == signal.SIGKILL and processes.killed_for_memory() > oom_before:
                return "MemoryExceeded"
            if number == signal.SIGXFSZ:
                return "FilesExceeded"
        return "OutputExceeded" if self.overflowed else "Exited"

    def exit_code(self) -> dict:
        if self.reason != "Exited":
            return {}
        if os.WIFSIGNALED(self.status):
            return {"exitCode": 128 + os.WTERMSIG(self.status)}
        return {"exitCode": os.WEXITSTATUS(self.status)}


class Stream:
    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = None
        self.pieces = []
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, data: bytes) -> None:
        self.pieces.append(data)

    def text(self, final: bool) -> str:
        data, self.pieces = b"".join(self.pieces), []
        return self.decoder.decode(data, final)


def become(job, place: workspace.Workspace, outputs: list) -> None:
    """In the child. Whatever happens here, it does not come back."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, target in ((nothing, 0), (outputs[0], 1), (outputs[1], 2)):
            os.dup2(descriptor, target)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        os.chdir(place.files)
        confine.confine_program(job.limits)
        os.execve(job.command[0], [*job.command, job.program], place.environment(job))
    except BaseException as error:  # noqa: B036
        os.write(2, f"The program cannot be started: {error}\n".encode())
    finally:
        os._exit(127)
