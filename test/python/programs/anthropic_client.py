"""The official client of Anthropic's API. The content of a message names the script that the model server plays."""

import anthropic
from cases import run
from pydantic import BaseModel

weather = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
thinking = {"type": "enabled", "budget_tokens": 1024}
pixel = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


class City(BaseModel):
    name: str
    people: int


def client(url: str, retries: int = 0) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="any", max_retries=retries, timeout=20)


def async_client(url: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=url, api_key="any", max_retries=0, timeout=20)


def asks(script: str, **more: object) -> dict:
    messages = [{"role": "user", "content": script}]
    return {"model": "openai/m", "max_tokens": 2000, "messages": messages, **more}


def failure(call) -> dict:
    try:
        call()
    except anthropic.APIStatusError as error:
        names = {"class": type(error).__name__, "status": error.status_code}
        return names | {"type": error.type, "named": bool(error.request_id)}
    except anthropic.APIError as error:
        return {"class": type(error).__name__}
    return {}


def said(message) -> list:
    """The blocks of a message without what is the same in all."""
    shown = {"text": ["text"], "thinking": ["thinking"], "tool_use": ["id", "name", "input"]}
    return [[block.type, *(getattr(block, name) for name in shown[block.type])] for block in message.content]


def models(url: str):
    api = client(url)
    return [api.models.retrieve("openai/m").id, "openai/m" in [model.id for model in api.models.list()]]


def whole_message(url: str):
    message = client(url).messages.create(**asks("text"))
    used = [message.usage.input_tokens, message.usage.output_tokens]
    return [said(message), message.stop_reason, used, bool(message._request_id)]


async def whole_message_async(url: str):
    async with async_client(url) as api:
        return said(await api.messages.create(**asks("text")))


def streamed_text(url: str):
    with client(url).messages.stream(**asks("text")) as stream:
        return "".join(stream.text_stream)


async def streamed_message_async(url: str):
    async with async_client(url) as api, api.messages.stream(**asks("text")) as stream:
        message = await stream.get_final_message()
    return [said(message), message.stop_reason, [message.usage.input_tokens, message.usage.output_tokens]]


def events_of_a_stream(url: str):
    events = [event.type for event in client(url).messages.create(**asks("text", stream=True))]
    return list(dict.fromkeys(events))


def tool_calls(url: str):
    message = client(url).messages.create(**asks("calls", tools=[weather]))
    return [message.stop_reason, said(message)]


def streamed_tool_calls(url: str):
    with client(url).messages.stream(**asks("calls", tools=[weather])) as stream:
        message = stream.get_final_message()
    return [message.stop_reason, said(message)]


def conversation_with_a_tool(url: str):
    api = client(url)
    called = api.messages.create(**asks("calls", tools=[weather]))
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "20 °C"} for call in called.content]
    turns = [
        {"role": "user", "content": "calls"},
        {"role": "assistant", "content": called.content},
        {"role": "user", "content": [*results, {"type": "text", "text": "text"}]},
    ]
    return said(api.messages.create(**asks("text", tools=[weather]) | {"messages": turns}))


def message_of_a_shape(url: str):
    message = client(url).messages.parse(**asks("shape", output_format=City))
    return message.parsed_output.model_dump()


def thoughts(url: str):
    api = client(url)
    whole = api.messages.create(**asks("reasoning", thinking=thinking))
    with api.messages.stream(**asks("reasoning", thinking=thinking)) as stream:
        streamed = stream.get_final_message()
    return [said(whole), said(streamed), said(api.messages.create(**asks("reasoning")))]


def thoughts_sent_back(url: str):
    api = client(url)
    whole = api.messages.create(**asks("reasoning", thinking=thinking))
    turns = [
        {"role": "user", "content": "reasoning"},
        {"role": "assistant", "content": whole.content},
        {"role": "user", "content": "text"},
    ]
    return said(api.messages.create(**asks("text", thinking=thinking) | {"messages": turns}))


def message_with_an_image(url: str):
    content = [{"type": "image", "source": pixel}, {"type": "text", "text": "text"}]
    return said(client(url).messages.create(**asks("text") | {"messages": [{"role": "user", "content": content}]}))


def tokens_counted(url: str):
    asked = {name: value for name, value in asks("text").items() if name != "max_tokens"}
    return client(url).messages.count_tokens(**asked).input_tokens > 1


def betas(url: str):
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    more = {"betas": ["context-management-2025-06-27"], "context_management": edits}
    return said(client(url).beta.messages.create(**asks("text", **more)))


def model_that_is_none(url: str):
    return failure(lambda: client(url).messages.create(**asks("text") | {"model": "nobody"}))


def field_that_is_wrong(url: str):
    return failure(lambda: client(url).messages.create(**asks("text", extra_body={"temperature": "hot"})))


def request_that_the_model_refuses(url: str):
    return failure(lambda: client(url).messages.create(**asks("refused")))


def prompt_that_is_too_long(url: str):
    return failure(lambda: client(url).messages.create(**asks("long", stream=True)))


def model_that_is_busy(url: str):
    return failure(lambda: client(url).messages.create(**asks("busy")))


def model_that_is_busy_once(url: str):
    return said(client(url, retries=2).messages.create(**asks("busy once for a message")))


def model_that_breaks(url: str):
    return failure(lambda: client(url, retries=2).messages.create(**asks("broken")))


def model_that_breaks_off(url: str):
    def read() -> None:
        for _ in client(url).messages.create(**asks("breaks off", stream=True)):
            pass

    return failure(read)


def stream_that_is_closed(url: str):
    with client(url).messages.stream(**asks("endless, a closed message")) as stream:
        return next(iter(stream.text_stream))


async def stream_that_is_closed_async(url: str):
    async with async_client(url) as api, api.messages.stream(**asks("endless, a left message")) as stream:
        async for text in stream.text_stream:
            return text


def request_that_takes_too_long(url: str):
    hasty = client(url).with_options(timeout=2)
    return failure(lambda: hasty.messages.create(**asks("endless, a late message")))


run(
    models,
    whole_message,
    whole_message_async,
    streamed_text,
    streamed_message_async,
    events_of_a_stream,
    tool_calls,
    streamed_tool_calls,
    conversation_with_a_tool,
    message_of_a_shape,
    thoughts,
    thoughts_sent_back,
    message_with_an_image,
    tokens_counted,
    betas,
    model_that_is_none,
    field_that_is_wrong,
    request_that_the_model_refuses,
    prompt_that_is_too_long,
    model_that_is_busy,
    model_that_is_busy_once,
    model_that_breaks,
    model_that_breaks_off,
    stream_that_is_closed,
    stream_that_is_closed_async,
    request_that_takes_too_long,
)
