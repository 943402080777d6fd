"""OpenAI's client with the Responses API, over HTTP and over a WebSocket. The input names the script that the model server plays."""

from cases import run
from openai_client import City, async_client, client, failure

weather = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
pixel = "data:image/png;base64,iVBORw0KGgo="


def asks(script: str, **more: object) -> dict:
    return {"model": "openai/m", "input": script, **more}


def whole(url: str):
    response = client(url).responses.create(**asks("text"))
    return [response.output_text, response.status, response.usage.total_tokens]


async def whole_async(url: str):
    async with async_client(url) as api:
        return (await api.responses.create(**asks("text"))).output_text


def streamed(url: str):
    with client(url).responses.create(**asks("text", stream=True)) as events:
        return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def put_together_by_the_client(url: str):
    with client(url).responses.stream(**asks("text")) as stream:
        numbers = [event.sequence_number for event in stream]
        response = stream.get_final_response()
    return [response.output_text, numbers == list(range(len(numbers)))]


def answer_of_a_shape(url: str):
    return client(url).responses.parse(**asks("shape", text_format=City)).output_parsed.model_dump()


def tool_calls_and_their_results(url: str):
    api = client(url)
    called = api.responses.create(**asks("calls", tools=[weather]))
    calls = [item for item in called.output if item.type == "function_call"]
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "20 °C"} for call in calls]
    turns = [{"role": "user", "content": "calls"}, *called.output, *results, {"role": "user", "content": "text"}]
    answer = api.responses.create(model="openai/m", input=turns, tools=[weather])
    return [[[call.call_id, call.name, call.arguments] for call in calls], answer.output_text]


def reasoning(url: str):
    thought, said = client(url).responses.create(**asks("reasoning", reasoning={"summary": "auto"})).output
    return [thought.summary[0].text, said.content[0].text]


def picture(url: str):
    parts = [{"type": "input_image", "image_url": pixel, "detail": "low"}, {"type": "input_text", "text": "text"}]
    return client(url).responses.create(**asks([{"role": "user", "content": parts}])).output_text


def conversation(url: str):
    api = client(url)
    first = api.responses.create(**asks("text"))
    second = api.responses.create(**asks("text", previous_response_id=first.id))
    listed = api.responses.input_items.list(first.id)
    return [second.output_text, [item.content[0].text for item in listed]]


def retrieved_from_an_event_on(url: str):
    api = client(url)
    with api.responses.create(**asks("text", stream=True)) as events:
        seen = list(events)
    rest = api.responses.retrieve(seen[-1].response.id, stream=True, starting_after=5)
    again = list(rest)
    return [again == seen[6:], api.responses.retrieve(seen[-1].response.id) == seen[-1].response]


def background_that_is_cancelled(url: str):
    api = client(url)
    response = api.responses.create(**asks("endless, in the background", background=True))
    cancelled = api.responses.cancel(response.id)
    again = api.responses.retrieve(response.id)
    api.responses.delete(response.id)
    return [response.status, cancelled.status, again.status, failure(lambda: api.responses.retrieve(response.id))]


def stream_that_is_closed(url: str):
    stream = client(url).responses.create(**asks("endless, of a response", stream=True))
    first = next(event.delta for event in stream if event.type == "response.output_text.delta")
    stream.close()
    return first


def socket(url: str):
    with client(url).responses.connect() as connection:
        connection.response.create(**asks("text", store=False))
        texts, first = read(connection)
        connection.response.create(**asks("text", store=False, previous_response_id=first.id))
        more, second = read(connection)
    return [texts, more, second.previous_response_id == first.id]


async def socket_async(url: str):
    async with async_client(url) as api, api.responses.connect() as connection:
        await connection.response.create(**asks("text"))
        text = ""
        async for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                return text


def socket_that_is_closed(url: str):
    with client(url).responses.connect() as connection:
        connection.response.create(**asks("endless, over a responses socket"))
        return next(event.delta for event in connection if event.type == "response.output_text.delta")


def error_over_a_socket(url: str):
    with client(url).responses.connect() as connection:
        connection.response.create(**asks("text", previous_response_id="resp_none"))
        error = connection.recv()
    return [error.type, error.code, error.param]


def read(connection):
    text = ""
    for event in connection:
        if event.type == "response.output_text.delta":
            text += event.delta
        if event.type == "response.completed":
            return text, event.response


def model_that_is_none(url: str):
    return failure(lambda: client(url).responses.create(**asks("text") | {"model": "nobody"}))


def field_that_is_wrong(url: str):
    return failure(lambda: client(url).responses.create(**asks("text", temperature="hot")))


def prompt_that_is_too_long(url: str):
    return failure(lambda: client(url).responses.create(**asks("long", stream=True)))


def model_that_is_busy(url: str):
    return failure(lambda: client(url).responses.create(**asks("busy")))


def model_that_breaks(url: str):
    return failure(lambda: client(url, retries=2).responses.create(**asks("broken")))


def model_that_breaks_off(url: str):
    with client(url).responses.create(**asks("breaks off", stream=True)) as events:
        *_, last = events
    return [last.type, last.response.error.code]


if __name__ == "__main__":
    run(
        whole,
        whole_async,
        streamed,
        put_together_by_the_client,
        answer_of_a_shape,
        tool_calls_and_their_results,
        reasoning,
        picture,
        conversation,
        retrieved_from_an_event_on,
        background_that_is_cancelled,
        stream_that_is_closed,
        socket,
        socket_async,
        socket_that_is_closed,
        error_over_a_socket,
        model_that_is_none,
        field_that_is_wrong,
        prompt_that_is_too_long,
        model_that_is_busy,
        model_that_breaks,
        model_that_breaks_off,
    )
