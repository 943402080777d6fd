"""`langchain-openai`, as its users set it up."""

from cases import run
from langchain_core.messages import ToolMessage
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    people: int


def get_weather(city: str) -> str:
    """The weather."""
    return "20 °C"


def model(url: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{url}/v1", api_key="any", model="openai/m", max_retries=0, timeout=20)


def invoked(url: str):
    message = model(url).invoke("text")
    return [message.content, message.usage_metadata["total_tokens"], message.response_metadata["finish_reason"]]


async def streamed(url: str):
    return "".join([chunk.text async for chunk in model(url).astream("text")])


def usage_of_a_stream(url: str):
    whole = None
    for chunk in model(url).stream("text", stream_usage=True):
        whole = chunk if whole is None else whole + chunk
    return whole.usage_metadata["total_tokens"]


def tool_calls_and_their_results(url: str):
    bound = model(url).bind_tools([get_weather])
    called = bound.invoke("calls")
    results = [ToolMessage("20 °C", tool_call_id=call["id"]) for call in called.tool_calls]
    answer = bound.invoke([("user", "calls"), called, *results, ("user", "text")])
    return [[call["args"] for call in called.tool_calls], answer.content]


def answer_of_a_shape(url: str):
    return model(url).with_structured_output(City).invoke("shape").model_dump()


run(invoked, streamed, usage_of_a_stream, tool_calls_and_their_results, answer_of_a_shape)
