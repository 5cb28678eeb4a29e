"""An agent made with LangGraph: a graph that goes from the model to the tools and back until there is an answer."""

import kadre_agent
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition


@tool
def count_words(text: str) -> str:
    """Counts the words of a text."""
    return str(len(text.split()))


async def answer(task: kadre_agent.Task) -> str:
    async with task.http() as http:
        model = ChatOpenAI(model=task.model, base_url=task.base_url, api_key=task.api_key, http_async_client=http)
        graph = graph_of(model.bind_tools([count_words]))
        messages = [SystemMessage(kadre_agent.AGENT["instructions"]), HumanMessage(task.text)]
        state = await graph.ainvoke({"messages": messages})
    return state["messages"][-1].text


def graph_of(model):
    async def ask(state: MessagesState):
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", ask)
    graph.add_node("tools", ToolNode([count_words]))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile()


if __name__ == "__main__":
    kadre_agent.serve(answer)
