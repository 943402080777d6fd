"""`httpx-sse` at `/chat/stream`."""

import httpx
from cases import run
from httpx_sse import aconnect_sse, connect_sse


def body(script: str, **more: object) -> dict:
    return {"content": script, "user_id": "python", "agent": "openai", "model": "m", **more}


def events(url: str):
    with httpx.Client(timeout=20) as api, connect_sse(api, "POST", f"{url}/chat/stream", json=body("text")) as source:
        frames = [(event.id, event.json()) for event in source.iter_sse()]
    text = "".join(frame["content"] for _, frame in frames if frame["type"] == "streaming_token")
    return [text, frames[0][1]["type"], frames[-1][1]["type"], frames[-1][0]]


async def events_async(url: str):
    async with httpx.AsyncClient(timeout=20) as api:
        async with aconnect_sse(api, "POST", f"{url}/chat/stream", json=body("text")) as source:
            frames = [event.json() async for event in source.aiter_sse()]
    return "".join(frame["content"] for frame in frames if frame["type"] == "streaming_token")


def taken_up_again(url: str):
    with httpx.Client(timeout=20) as api:
        with connect_sse(api, "POST", f"{url}/chat/stream", json=body("text")) as source:
            stream = [event.json() for event in source.iter_sse()][0]["streamId"]
        headers = {"Last-Event-ID": "3"}
        with connect_sse(api, "GET", f"{url}/chat/stream/{stream}", headers=headers) as source:
            frames = [event.json() for event in source.iter_sse()]
    return "".join(frame["content"] for frame in frames if frame["type"] == "streaming_token")


def error_before_the_first_token(url: str):
    with httpx.Client(timeout=20) as api:
        with connect_sse(api, "POST", f"{url}/chat/stream", json=body("broken")) as source:
            last = [event.json() for event in source.iter_sse()][-1]
    return [last["type"], last["code"]]


def stream_that_is_left(url: str):
    asked = body("endless, over SSE", on_disconnect="cancel")
    with httpx.Client(timeout=20) as api, connect_sse(api, "POST", f"{url}/chat/stream", json=asked) as source:
        return next(frame["content"] for event in source.iter_sse() if "content" in (frame := event.json()))


def stream_that_is_cancelled(url: str):
    asked = body("endless, deleted")
    with httpx.Client(timeout=20) as api, connect_sse(api, "POST", f"{url}/chat/stream", json=asked) as source:
        frames = (event.json() for event in source.iter_sse())
        receipt = api.delete(f"{url}/chat/stream/{next(frames)['streamId']}").json()
        return [receipt["cancelled"], list(frames)[-1]["type"]]


run(
    events,
    events_async,
    taken_up_again,
    error_before_the_first_token,
    stream_that_is_left,
    stream_that_is_cancelled,
)
