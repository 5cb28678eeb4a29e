"""An agent made with LlamaIndex."""

import kadre_agent
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.llms.openai_like import OpenAILike


def count_words(text: str) -> str:
    """Counts the words of a text."""
    return str(len(text.split()))


async def answer(task: kadre_agent.Task) -> str:
    async with task.http() as http:
        model = OpenAILike(
            model=task.model,
            api_base=task.base_url,
            api_key=task.api_key,
            async_http_client=http,
            is_chat_model=True,
            is_function_calling_model=True,
            # LlamaIndex would ask again without saying that it does; the step's `retry` begins a new attempt.
            max_retries=0,
        )
        agent = FunctionAgent(llm=model, tools=[count_words], system_prompt=kadre_agent.AGENT["instructions"])
        return str(await agent.run(task.text))


if __name__ == "__main__":
    kadre_agent.serve(answer)
