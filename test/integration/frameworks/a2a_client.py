"""Asks an agent with the SDK of A2A from PyPI, and prints as JSON what came of it."""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import a2a_pb2 as a2a
from google.protobuf.json_format import MessageToDict


def request(text: str, context: str = "", message_id: str = "") -> a2a.SendMessageRequest:
    message = a2a.Message(
        message_id=message_id or str(uuid.uuid4()),
        context_id=context,
        role=a2a.Role.ROLE_USER,
        parts=[a2a.Part(text=text)],
    )
    return a2a.SendMessageRequest(message=message)


def seen(task: a2a.Task) -> dict:
    text = "".join(part.text for artifact in task.artifacts for part in artifact.parts)
    usage = MessageToDict(task.metadata).get("kadre.dev/usage")
    return {"id": task.id, "state": a2a.TaskState.Name(task.status.state), "text": text, "usage": usage}


async def whole(client, asked: a2a.SendMessageRequest) -> a2a.Task:
    return [event.task async for event in client.send_message(asked)][-1]


async def stream(client, asked: a2a.SendMessageRequest) -> dict:
    kinds, text, tools, usage = [], "", [], None
    async for event in client.send_message(asked):
        kinds.append(event.WhichOneof("payload"))
        if kinds[-1] == "artifact_update":
            said = "".join(part.text for part in event.artifact_update.artifact.parts)
            text = text + said if event.artifact_update.append else said
        if kinds[-1] == "status_update":
            metadata = MessageToDict(event.status_update.metadata)
            usage = metadata.get("kadre.dev/usage", usage)
            tools += [metadata["kadre.dev/tool"]["phase"]] if "kadre.dev/tool" in metadata else []
    return {"first": kinds[0], "text": text, "tools": tools, "usage": usage, "last": kinds[-1]}


async def cancelled(client) -> list[str]:
    """The last states that the sender and a subscriber hear of."""
    started = asyncio.get_running_loop().create_future()

    async def follow(events, tell: bool) -> str:
        state = ""
        async for event in events:
            if event.HasField("task") and tell:
                started.set_result(event.task.id)
            if event.HasField("status_update"):
                state = a2a.TaskState.Name(event.status_update.status.state)
        return state

    sender = asyncio.create_task(follow(client.send_message(request("hold")), True))
    task_id = await started
    events = client.subscribe(a2a.SubscribeToTaskRequest(id=task_id))
    first = await anext(events)
    subscriber = asyncio.create_task(follow(events, False))
    await client.cancel_task(a2a.CancelTaskRequest(id=task_id))
    return [first.WhichOneof("payload"), await sender, await subscriber]


async def refusal(awaitable) -> str:
    try:
        await awaitable
    except Exception as error:
        return type(error).__name__
    return ""


async def main(url: str) -> dict:
    async with httpx.AsyncClient(timeout=30) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        plain = ClientFactory(ClientConfig(streaming=False, httpx_client=http)).create(card)
        streaming = ClientFactory(ClientConfig(streaming=True, httpx_client=http)).create(card)
        first = await whole(plain, request("I am Ann."))
        again = [await whole(plain, request("Twice", message_id="m-twice")) for _ in range(2)]
        return {
            "card": {"name": card.name, "streaming": card.capabilities.streaming},
            "first": seen(first),
            "got": seen(await plain.get_task(a2a.GetTaskRequest(id=first.id))),
            "again": again[0].id == again[1].id,
            "streamed": await stream(streaming, request("Who am I?", first.context_id)),
            "listed": len((await plain.list_tasks(a2a.ListTasksRequest(context_id=first.context_id))).tasks),
            "cancelled": await cancelled(streaming),
            "unknown": await refusal(plain.get_task(a2a.GetTaskRequest(id="nobody"))),
            "over": await refusal(plain.cancel_task(a2a.CancelTaskRequest(id=first.id))),
        }


print(json.dumps(asyncio.run(main(sys.argv[1]))))
