"""One job on stdin, a line of JSON; what comes of it on stdout. When stdin closes, nobody waits for it any more."""
import asyncio
import json
import os
import sys

import jobs
from life import Life


async def serve(work: str, patience: float) -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=jobs.MAX_JOB_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb"))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(os.dup(1), "wb"))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)

    def tell(event: dict) -> None:
        writer.write(json.dumps(event, ensure_ascii=False).encode() + b"\n")

    life = Life(work, patience)
    try:
        life.prepare(await reader.readline(), tell)
    except (jobs.Rubbish, ValueError) as error:
        print(f"runner: {error}", file=sys.stderr)
        return 2
    left = asyncio.ensure_future(closed(reader, life))
    tell(await life.run())
    left.cancel()
    transport.set_write_buffer_limits(0)
    try:
        await asyncio.wait_for(writer.drain(), patience)
    except (OSError, asyncio.TimeoutError):
        pass
    return 0


async def closed(reader: asyncio.StreamReader, life: Life) -> None:
    while await reader.read(65536):
        pass
    life.end_early()
