"""A crew of one made with CrewAI."""

import kadre_agent
from crewai import LLM, Agent, Crew, Task
from crewai.llms.hooks.base import BaseInterceptor
from crewai.tools import tool


@tool("count_words")
def count_words(text: str) -> str:
    """Counts the words of a text."""
    return str(len(text.split()))


async def answer(task: kadre_agent.Task) -> str:
    model = LLM(
        model=task.model,
        custom_openai=True,
        base_url=task.base_url,
        api_key=task.api_key,
        interceptor=Signature(task),
    )
    writer = Agent(
        role=kadre_agent.AGENT["name"],
        goal="Do what is asked.",
        backstory=kadre_agent.AGENT["instructions"],
        llm=model,
        tools=[count_words],
        # The step's `retry` begins a new attempt.
        max_retry_limit=0,
    )
    work = Task(description=task.text, expected_output="The answer.", agent=writer)
    return (await Crew(agents=[writer], tasks=[work]).akickoff()).raw


class Signature(BaseInterceptor):
    """CrewAI makes its HTTP clients itself, and shows each request before it goes out."""

    def __init__(self, task: kadre_agent.Task) -> None:
        self._task = task

    def on_outbound(self, request):
        self._task.sign(request)
        return request

    def on_inbound(self, response):
        return response

    async def aon_outbound(self, request):
        return self.on_outbound(request)

    async def aon_inbound(self, response):
        return response


if __name__ == "__main__":
    kadre_agent.serve(answer)
