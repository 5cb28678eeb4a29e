"""POST /job with the key, answered by a line of JSON for each thing that happens. GET /healthz until there was a job."""
import asyncio
import hmac
import json

import jobs
from life import Life

MAX_HEAD = 16 * 1024
ARRIVE_S = 30
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict", 411: "Length Required",
           413: "Content Too Large", 503: "Service Unavailable"}


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def serve(host: str, port: int, key: str, work: str, patience: float) -> int:
    life = Life(work, patience)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await converse(reader, writer, key, life)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, host or None, port, limit=MAX_HEAD)
    # Port 0 takes any that is free.
    print(json.dumps({"listening": server.sockets[0].getsockname()[1]}), flush=True)
    await life.over.wait()
    server.close()
    return 0


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str, life: Life) -> None:
    try:
        method, path, headers = await asyncio.wait_for(read_head(reader), ARRIVE_S)
        if (method, path) == ("GET", "/healthz"):
            if life.taken:
                raise Refusal(503, "has its job")
            return await respond(writer, 200, {"ready": True})
        if (method, path) != ("POST", "/job"):
            raise Refusal(404, "there is only POST /job")
        admit(headers, key, life)
        text = await asyncio.wait_for(read_body(reader, headers), ARRIVE_S)
        # Another one may have come first meanwhile.
        admit(headers, key, life)
        program = life.prepare(text, lambda event: write_event(writer, event))
    except Refusal as refusal:
        await respond(writer, refusal.status, {"error": str(refusal)})
        return await hear_out(reader, writer, life.patience)
    except jobs.Rubbish as rubbish:
        await respond(writer, 400, {"error": str(rubbish)})
        if life.taken:
            life.over.set()
        return
    await carry_out(reader, writer, life, program)


def admit(headers: dict, key: str, life: Life) -> None:
    if not hmac.compare_digest(headers.get("authorization", "").encode(), f"Bearer {key}".encode()):
        raise Refusal(401, "the key is another one")
    if life.taken:
        raise Refusal(409, "this sandbox has had its job")


async def carry_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, life: Life, program) -> None:
    writer.write(head(200, "application/x-ndjson", "transfer-encoding: chunked"))
    gone = asyncio.ensure_future(follow(reader, program))
    try:
        write_event(writer, await life.run())
        writer.write(b"0\r\n\r\n")
        gone.cancel()
        # Who reads nothing is not waited for.
        writer.transport.set_write_buffer_limits(0)
        await asyncio.wait_for(writer.drain(), life.patience)
    finally:
        life.over.set()


async def follow(reader: asyncio.StreamReader, program) -> None:
    """A connection that breaks is the end of the job."""
    try:
        while await reader.read(65536):
            pass
    except OSError:
        pass
    program.stop("Cancelled")


async def read_head(reader: asyncio.StreamReader):
    text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *lines = text.split("\r\n")
    parts = request.split(" ")
    if len(parts) != 3:
        raise Refusal(400, "this is not HTTP")
    pairs = (line.partition(":") for line in lines if line)
    return parts[0], parts[1], {name.strip().lower(): value.strip() for name, _, value in pairs}


async def read_body(reader: asyncio.StreamReader, headers: dict) -> bytes:
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 12):
        raise Refusal(411, "content-length is missing")
    if int(length) > jobs.MAX_JOB_BYTES:
        raise Refusal(413, f"a job has at most {jobs.MAX_JOB_BYTES} bytes")
    return await reader.readexactly(int(length))


async def hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
    """Who is still sending would not read the answer if the connection broke."""
    writer.write_eof()
    deadline = asyncio.get_running_loop().time() + patience
    while await asyncio.wait_for(reader.read(65536), max(0, deadline - asyncio.get_running_loop().time())):
        pass


def write_event(writer: asyncio.StreamWriter, event: dict) -> None:
    line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
    writer.write(b"%x\r\n%s\r\n" % (len(line), line))


async def respond(writer: asyncio.StreamWriter, status: int, body: dict) -> None:
    text = json.dumps(body).encode()
    writer.write(head(status, "application/json", f"content-length: {len(text)}") + text)
    await writer.drain()


def head(status: int, content_type: str, framing: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {REASONS[status]}", f"content-type: {content_type}", framing, "connection: close", "", ""]
    return "\r\n".join(lines).encode()
