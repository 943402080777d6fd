"""`langchain-openai` and `langchain-ollama`, as their users set them up."""

from cases import run
from langchain_core.messages import ToolMessage
from langchain_ollama import ChatOllama, OllamaEmbeddings
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
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


def embeddings(url: str):
    texts = {"base_url": f"{url}/v1", "api_key": "any", "model": "openai/m", "check_embedding_ctx_length": False}
    return OpenAIEmbeddings(**texts).embed_documents(["a", "b"])


def of_ollama(url: str):
    model = ChatOllama(base_url=url, model="openai/m")
    called = model.bind_tools([get_weather]).invoke("calls")
    streamed = "".join(chunk.text for chunk in model.stream("text"))
    return [model.invoke("text").content, streamed, [call["args"] for call in called.tool_calls]]


def embeddings_of_ollama(url: str):
    return OllamaEmbeddings(base_url=url, model="openai/m").embed_documents(["a", "b"])


run(
    invoked,
    streamed,
    usage_of_a_stream,
    tool_calls_and_their_results,
    answer_of_a_shape,
    embeddings,
    of_ollama,
    embeddings_of_ollama,
)
