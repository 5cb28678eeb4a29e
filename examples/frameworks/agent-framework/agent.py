"""An agent made with Microsoft's Agent Framework, the successor of AutoGen."""

import kadre_agent
from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from openai import AsyncOpenAI


def count_words(text: str) -> str:
    """Counts the words of a text."""
    return str(len(text.split()))


async def answer(task: kadre_agent.Task) -> str:
    async with task.http() as http:
        client = AsyncOpenAI(base_url=task.base_url, api_key=task.api_key, http_client=http)
        agent = Agent(
            client=OpenAIChatCompletionClient(model=task.model, async_client=client),
            instructions=kadre_agent.AGENT["instructions"],
            tools=[count_words],
        )
        return (await agent.run(task.text)).text


if __name__ == "__main__":
    kadre_agent.serve(answer)
