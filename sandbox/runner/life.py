"""The one job of a runner's life."""
import asyncio
import signal

import jobs
import signals
from program import Program
from workspace import Workspace


class Life:
    def __init__(self, work: str, patience: float) -> None:
        """patience: how many seconds one who is slow to read is waited for."""
        self.work = work
        self.patience = patience
        self.program = None
        self.taken = False
        self.over = asyncio.Event()
        signals.on(signal.SIGTERM, self.end_early)

    def prepare(self, text: bytes, tell) -> "Program":
        """Raises Rubbish; then nothing has run, and the next job may come."""
        job = jobs.read_job(text)
        place = Workspace(self.work)
        # From here on what is in the folders is somebody's.
        self.taken = True
        place.lay_out(job)
        self.program = Program(job, place, tell)
        return self.program

    def end_early(self) -> None:
        if self.program:
            self.program.stop("Cancelled")
        else:
            self.over.set()

    async def run(self) -> dict:
        ended = await self.program.run()
        return {"end": {**ended, **self.program.place.harvest(self.program.job.limits)}}
