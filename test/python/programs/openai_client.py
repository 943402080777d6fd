"""The official client of OpenAI's API. The content of a message names the script that the model server plays."""

import openai
from cases import run
from pydantic import BaseModel

weather = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class City(BaseModel):
    name: str
    people: int


def client(url: str, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=retries, timeout=20)


def async_client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=20)


def asks(script: str, **more: object) -> dict:
    return {"model": "openai/m", "messages": [{"role": "user", "content": script}], **more}


def failure(call) -> dict:
    try:
        call()
    except openai.APIStatusError as error:
        names = {"class": type(error).__name__, "status": error.status_code}
        return names | {"code": error.code, "param": error.param, "type": error.type}
    except openai.APIError as error:
        return {"class": type(error).__name__, "code": error.code, "message": error.message}
    return {}


def models(url: str):
    api = client(url)
    return [api.models.retrieve("openai/m").id, "openai/m" in [model.id for model in api.models.list()]]


def whole_answer(url: str):
    answer = client(url).chat.completions.create(**asks("text"))
    [choice] = answer.choices
    return [choice.message.content, choice.finish_reason, answer.usage.to_dict(), bool(answer._request_id)]


async def whole_answer_async(url: str):
    async with async_client(url) as api:
        answer = await api.chat.completions.create(**asks("text"))
    return answer.choices[0].message.content


def streamed_answer(url: str):
    with client(url).chat.completions.create(**asks("text", stream=True)) as chunks:
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


async def streamed_answer_async(url: str):
    async with async_client(url) as api:
        chunks = await api.chat.completions.create(**asks("text", stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


def usage_of_a_stream(url: str):
    options = {"include_usage": True}
    *_, last = client(url).chat.completions.create(**asks("text", stream=True, stream_options=options))
    return [last.choices, last.usage.to_dict()]


def put_together_by_the_client(url: str):
    with client(url).chat.completions.stream(**asks("text")) as stream:
        kinds = {event.type for event in stream}
        [choice] = stream.get_final_completion().choices
    return [choice.message.content, choice.finish_reason, sorted(kinds)]


def tool_calls(url: str):
    answer = client(url).chat.completions.create(**asks("calls", tools=[weather]))
    [choice] = answer.choices
    calls = [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls]
    return [choice.finish_reason, choice.message.content, calls]


def streamed_tool_calls(url: str):
    with client(url).chat.completions.stream(**asks("calls", tools=[weather])) as stream:
        [choice] = stream.get_final_completion().choices
    calls = [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls]
    return [choice.finish_reason, calls]


def conversation_with_a_tool(url: str):
    api = client(url)
    called = api.chat.completions.create(**asks("calls", tools=[weather])).choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "20 °C"} for call in called.tool_calls]
    turns = [{"role": "user", "content": "calls"}, called, *results, {"role": "user", "content": "text"}]
    answer = api.chat.completions.create(model="openai/m", messages=turns, tools=[weather])
    return answer.choices[0].message.content


def answer_of_a_shape(url: str):
    answer = client(url).chat.completions.parse(**asks("shape", response_format=City))
    return answer.choices[0].message.parsed.model_dump()


async def streamed_answer_of_a_shape(url: str):
    async with async_client(url) as api:
        async with api.chat.completions.stream(**asks("shape", response_format=City)) as stream:
            answer = await stream.get_final_completion()
    return answer.choices[0].message.parsed.model_dump()


def reasoning(url: str):
    [choice] = client(url).chat.completions.create(**asks("reasoning")).choices
    return [choice.message.content, choice.message.reasoning_content]


def older_completions(url: str):
    api = client(url)
    whole = api.completions.create(model="openai/m", prompt="text")
    chunks = api.completions.create(model="openai/m", prompt="text", stream=True)
    return [whole.choices[0].text, "".join(chunk.choices[0].text for chunk in chunks)]


def raw_response(url: str):
    raw = client(url).chat.completions.with_raw_response.create(**asks("text", extra_body={"top_k": 3}))
    return [raw.status_code, raw.headers["content-type"], raw.parse().choices[0].message.content]


def all_kinds_of_options(url: str):
    pixel = "data:image/png;base64,iVBORw0KGgo="
    parts = [{"type": "image_url", "image_url": {"url": pixel, "detail": "low"}}, {"type": "text", "text": "text"}]
    answer = client(url).chat.completions.create(
        model="openai/m",
        messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "name": "ada", "content": parts}],
        frequency_penalty=0.5,
        logit_bias={"50256": -100},
        logprobs=False,
        max_completion_tokens=100,
        metadata={"run": "1"},
        n=1,
        parallel_tool_calls=False,
        presence_penalty=-0.5,
        reasoning_effort="low",
        response_format={"type": "text"},
        seed=7,
        service_tier="auto",
        stop=["###"],
        store=False,
        temperature=0.2,
        tool_choice="none",
        tools=[weather],
        top_p=0.9,
        user="ada",
        verbosity="low",
        extra_headers={"X-Trace": "1"},
        extra_query={"api-version": "1"},
    )
    return answer.choices[0].message.content


def embeddings(url: str):
    api = client(url)
    numbers = api.embeddings.create(model="openai/m", input=["a", "b"], encoding_format="float")
    base64 = api.embeddings.create(model="openai/m", input=["a", "b"])
    return [[each.embedding for each in made.data] for made in (numbers, base64)]


def model_that_is_none(url: str):
    return failure(lambda: client(url).chat.completions.create(**asks("text") | {"model": "nobody"}))


def other_api(url: str):
    return failure(lambda: client(url).moderations.create(input="text"))


def field_that_is_wrong(url: str):
    return failure(lambda: client(url).chat.completions.create(**asks("text", temperature="hot")))


def request_that_the_model_refuses(url: str):
    return failure(lambda: client(url).chat.completions.create(**asks("refused")))


def prompt_that_is_too_long(url: str):
    return failure(lambda: client(url).chat.completions.create(**asks("long", stream=True)))


def model_that_is_busy(url: str):
    return failure(lambda: client(url).chat.completions.create(**asks("busy")))


def model_that_is_busy_once(url: str):
    answer = client(url, retries=2).chat.completions.create(**asks("busy once"))
    return answer.choices[0].message.content


async def model_that_is_busy_once_streamed(url: str):
    async with async_client(url).with_options(max_retries=2) as api:
        chunks = await api.chat.completions.create(**asks("busy once, streamed", stream=True))
        return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])


def model_that_breaks(url: str):
    return failure(lambda: client(url, retries=2).chat.completions.create(**asks("broken")))


def model_that_breaks_off(url: str):
    def read() -> None:
        for _ in client(url).chat.completions.create(**asks("breaks off", stream=True)):
            pass

    return failure(read)


def stream_that_is_closed(url: str):
    stream = client(url).chat.completions.create(**asks("endless, closed", stream=True))
    first = next(iter(chunk.choices[0].delta.content for chunk in stream if chunk.choices[0].delta.content))
    stream.close()
    return first


async def stream_that_is_closed_async(url: str):
    async with async_client(url) as api:
        async with await api.chat.completions.create(**asks("endless, left", stream=True)) as stream:
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    return chunk.choices[0].delta.content


def request_that_takes_too_long(url: str):
    hasty = client(url).with_options(timeout=2)
    return failure(lambda: hasty.chat.completions.create(**asks("endless, timed out")))


if __name__ == "__main__":
    run(
        models,
        whole_answer,
        whole_answer_async,
        streamed_answer,
        streamed_answer_async,
        usage_of_a_stream,
        put_together_by_the_client,
        tool_calls,
        streamed_tool_calls,
        conversation_with_a_tool,
        answer_of_a_shape,
        streamed_answer_of_a_shape,
        reasoning,
        older_completions,
        raw_response,
        all_kinds_of_options,
        embeddings,
        model_that_is_none,
        other_api,
        field_that_is_wrong,
        request_that_the_model_refuses,
        prompt_that_is_too_long,
        model_that_is_busy,
        model_that_is_busy_once,
        model_that_is_busy_once_streamed,
        model_that_breaks,
        model_that_breaks_off,
        stream_that_is_closed,
        stream_that_is_closed_async,
        request_that_takes_too_long,
    )
