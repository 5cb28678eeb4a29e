"""What an agent of any framework owes Kadre: it serves A2A 1.0, and asks its models through the gateway.

`serve(answer)` does the first, `Task.sign` and `Task.http` the second. Import it before the framework: it turns off what
frameworks tell their makers.
"""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SILENCE = {
    "ANONYMIZED_TELEMETRY": "False",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LANGSMITH_TRACING": "false",
    "OTEL_SDK_DISABLED": "true",
}
os.environ.update(SILENCE)

import httpx  # noqa: E402
import uvicorn  # noqa: E402
from a2a.helpers.proto_helpers import get_data_parts, get_message_text, new_data_part, new_text_part  # noqa: E402
from a2a.server.agent_execution import AgentExecutor, RequestContext  # noqa: E402
from a2a.server.events import EventQueue  # noqa: E402
from a2a.server.request_handlers import DefaultRequestHandler  # noqa: E402
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes  # noqa: E402
from a2a.server.tasks import InMemoryTaskStore, TaskUpdater  # noqa: E402
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill, TaskState, TaskStatus  # noqa: E402
from a2a.types import Task as A2ATask  # noqa: E402
from starlette.applications import Starlette  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Route  # noqa: E402

AGENT = json.loads(os.environ["KADRE_AGENT"])
"""The Agent as it was applied: name, description, instructions, model and more."""
GATEWAY_URL = os.environ["KADRE_GATEWAY_URL"].rstrip("/")
PORT = int(os.environ.get("KADRE_PORT", "8080"))


@dataclass
class Task:
    """What the agent is asked, and its way to the gateway on behalf of that."""

    prompt: str
    input: Any = None
    step_token: str | None = None
    traceparent: str | None = None
    _calls: Any = field(default_factory=lambda: itertools.count(1))
    _numbers: dict[bytes, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.prompt if self.input is None else f"{self.prompt}\n\n{json.dumps(self.input)}".strip()

    # What the OpenAI clients of all frameworks are given.
    base_url = f"{GATEWAY_URL}/v1"
    model = AGENT["model"]
    api_key = "the-gateway-knows-the-pod"

    def sign(self, request: httpx.Request) -> None:
        """Says to the gateway who asks, for which step, and which of its calls this is."""
        request.headers["authorization"] = bearer()
        if self.traceparent:
            request.headers.setdefault("traceparent", self.traceparent)
        if self.step_token:
            request.headers["kadre-step"] = self.step_token
            request.headers["kadre-call"] = str(self._number(request))

    def _number(self, request: httpx.Request) -> int:
        # What OpenAI's client sends again is no new call.
        if request.headers.get("x-stainless-retry-count", "0") == "0" or request.content not in self._numbers:
            self._numbers[request.content] = next(self._calls)
        return self._numbers[request.content]

    def http(self) -> httpx.AsyncClient:
        async def sign(request: httpx.Request) -> None:
            self.sign(request)

        return httpx.AsyncClient(event_hooks={"request": [sign]}, timeout=600)


Answer = Callable[[Task], Awaitable[Any]]
"""Text, or anything that is JSON."""


def bearer() -> str:
    # Read each time: the kubelet rotates it.
    return f"Bearer {Path(os.environ['KADRE_TOKEN_FILE']).read_text().strip()}"


def serve(answer: Answer) -> None:
    """With the argument `step` it carries out one step, as in a Job; else it serves until it is told to stop."""
    if sys.argv[1:] == ["step"]:
        asyncio.run(carry_out_step(answer))
    else:
        # An empty host is IPv4 and IPv6.
        uvicorn.run(application(answer), host="", port=PORT, log_level="warning", timeout_graceful_shutdown=25)


def application(answer: Answer) -> Starlette:
    card = agent_card()
    handler = DefaultRequestHandler(Executor(answer), InMemoryTaskStore(), card)
    ok = [Route(path, lambda _: PlainTextResponse("ok")) for path in ("/healthz", "/readyz")]
    return Starlette(routes=[*create_agent_card_routes(card), *create_jsonrpc_routes(handler, "/a2a"), *ok])


def agent_card() -> AgentCard:
    name = AGENT["name"]
    description = AGENT.get("description") or f"The agent {name}."
    url = os.environ.get("KADRE_PUBLIC_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
    return AgentCard(
        name=name,
        description=description,
        version="1",
        supported_interfaces=[AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=AgentCapabilities(streaming=True),
        default_input_modes=["text/plain", "application/json"],
        default_output_modes=["text/plain", "application/json"],
        skills=[AgentSkill(id=name, name=name, description=description, tags=["agent"])],
    )


class Executor(AgentExecutor):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        task = A2ATask(id=context.task_id, context_id=context.context_id)
        task.status.CopyFrom(TaskStatus(state=TaskState.TASK_STATE_SUBMITTED))
        if pod := os.environ.get("KADRE_POD_IP"):
            # Of several replicas, this one knows the task.
            host = f"[{pod}]" if ":" in pod else pod
            task.metadata.update({"kadre.dev/instance": f"http://{host}:{PORT}"})
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        try:
            output = await self._answer(task_of(context))
            part = new_text_part(output) if isinstance(output, str) else new_data_part(output, "application/json")
            await updater.add_artifact([part])
            await updater.complete()
        except Exception as error:
            metadata = {"kadre.dev/reason": reason_of(error)}
            await updater.failed(updater.new_agent_message([new_text_part(str(error))], metadata))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()


def task_of(context: RequestContext) -> Task:
    data = get_data_parts(context.message.parts)
    metadata = context.message.metadata
    return Task(
        prompt=get_message_text(context.message),
        input=data[0] if len(data) == 1 else data or None,
        step_token=metadata["kadre.dev/step-token"] if "kadre.dev/step-token" in metadata else None,
        traceparent=context.call_context.state["headers"].get("traceparent"),
    )


def reason_of(error: BaseException | None) -> str:
    """The gateway's reason, however often the framework has wrapped it."""
    while error is not None:
        if isinstance(code := getattr(error, "code", None), str):
            return code
        error = error.__cause__ or error.__context__
    return "AgentFailed"


async def carry_out_step(answer: Answer) -> None:
    token = os.environ["KADRE_STEP_TOKEN"]
    headers = {"authorization": bearer(), "kadre-step": token}
    async with httpx.AsyncClient(base_url=GATEWAY_URL, headers=headers) as gateway:
        step = (await gateway.get("/v1/step")).raise_for_status().json()
        task = Task(step.get("prompt", ""), step.get("input"), token, step.get("traceparent"))
        try:
            outcome: dict[str, Any] = {"output": await answer(task)}
        except Exception as error:
            outcome = {"failure": {"reason": reason_of(error), "message": str(error)[:8192]}}
        await gateway.post("/v1/step/result", json=outcome, headers={"authorization": bearer()})
