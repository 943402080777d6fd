"""The official client of Ollama's API. The content of a message names the script that the model server plays."""

import ollama
from cases import run

tools = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


def client(url: str) -> ollama.Client:
    return ollama.Client(host=url, timeout=20)


def asks(script: str, **more: object) -> dict:
    return {"model": "openai/m", "messages": [{"role": "user", "content": script}], **more}


def failure(call):
    try:
        call()
    except ollama.ResponseError as error:
        return [error.status_code, error.error]
    return None


def models(url: str):
    api = client(url)
    listed = [model.model for model in api.list().models]
    return [listed[0], "openai/m" in listed, api.show("openai/m:latest").capabilities, api.ps().models == []]


def whole_answer(url: str):
    answer = client(url).chat(**asks("text"))
    return [answer.message.content, answer.done_reason, answer.prompt_eval_count, answer.eval_count]


async def whole_answer_async(url: str):
    return (await ollama.AsyncClient(host=url).chat(**asks("text"))).message.content


def streamed_answer(url: str):
    parts = list(client(url).chat(**asks("text", stream=True)))
    return ["".join(part.message.content for part in parts), parts[-1].done]


async def streamed_answer_async(url: str):
    parts = await ollama.AsyncClient(host=url).chat(**asks("text", stream=True))
    return "".join([part.message.content async for part in parts])


def generated(url: str):
    api = client(url)
    parts = api.generate(model="openai/m", prompt="text", stream=True)
    return [api.generate(model="openai/m", prompt="text").response, "".join(part.response for part in parts)]


def thinking(url: str):
    message = client(url).chat(**asks("reasoning", think=True)).message
    return [message.content, message.thinking]


def tool_calls_and_their_results(url: str):
    api = client(url)
    answer = api.chat(**asks("calls", tools=tools))
    results = [
        {"role": "tool", "content": "20 °C", "tool_name": call.function.name} for call in answer.message.tool_calls
    ]
    messages = [{"role": "user", "content": "calls"}, answer.message, *results, {"role": "user", "content": "text"}]
    second = api.chat(model="openai/m", messages=messages, tools=tools)
    called = [[call.function.name, call.function.arguments] for call in answer.message.tool_calls]
    return [answer.done_reason, called, second.message.content]


def answer_of_a_shape(url: str):
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    return client(url).chat(**asks("shape", format=schema)).message.content


def image_of_a_message(url: str):
    message = {"role": "user", "content": "text", "images": [image]}
    return client(url).chat(model="openai/m", messages=[message]).message.content


def embeddings(url: str):
    api = client(url)
    made = api.embed(model="openai/m", input=["a", "b"])
    former = api.embeddings(model="openai/m", prompt="a")
    return [[list(each) for each in made.embeddings], made.prompt_eval_count, list(former.embedding)]


def model_that_is_none(url: str):
    return failure(lambda: client(url).chat(**asks("text") | {"model": "nope"}))


def request_that_the_model_refuses(url: str):
    return failure(lambda: client(url).chat(**asks("refused")))


def model_that_is_busy(url: str):
    return failure(lambda: list(client(url).chat(**asks("busy", stream=True))))


def model_that_breaks_off(url: str):
    return failure(lambda: list(client(url).chat(**asks("breaks off", stream=True))))


def model_to_pull(url: str):
    return failure(lambda: client(url).pull("x"))


def stream_that_is_left(url: str):
    parts = client(url).chat(**asks("endless, of Ollama", stream=True))
    first = next(parts).message.content
    parts.close()
    return first


run(
    models,
    whole_answer,
    whole_answer_async,
    streamed_answer,
    streamed_answer_async,
    generated,
    thinking,
    tool_calls_and_their_results,
    answer_of_a_shape,
    image_of_a_message,
    embeddings,
    model_that_is_none,
    request_that_the_model_refuses,
    model_that_is_busy,
    model_that_breaks_off,
    model_to_pull,
    stream_that_is_left,
)
