"""An agent as LangGraph makes it, behind HTTP as Starlette does it. It asks the model for one answer at a time."""

import os

os.environ["LANGSMITH_TRACING"] = "false"

import uvicorn
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route


@tool
def calculator(expression: str) -> str:
    """Adds numbers."""
    return str(sum(int(part) for part in expression.split("+")))


MODEL = ChatOpenAI(model="m", base_url=os.environ["BENCH_UPSTREAM"] + "/v1", api_key="none", max_retries=0)
AGENT = create_react_agent(MODEL, [calculator], prompt="Be exact.")


async def generate(request: Request) -> JSONResponse:
    asked = {"messages": [("user", (await request.json())["prompt"])]}
    state = await AGENT.ainvoke(asked, {"recursion_limit": 100})
    return JSONResponse({"output": state["messages"][-1].text})


def ready(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ready")


routes = [Route("/generate", generate, methods=["POST"]), Route("/readyz", ready)]
uvicorn.run(Starlette(routes=routes), host="127.0.0.1", port=int(os.environ["KADRE_PORT"]), log_level="error")
