"""`websockets` at `/ws`."""

import json

from cases import run
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

terminal = {"streaming_end", "message", "cancelled", "error"}


def request(script: str, **more: object) -> str:
    asked = {"type": "stream_request", "content": script, "agent": "openai", "model": "m"}
    return json.dumps(asked | more)


def text_of(frames: list) -> str:
    return "".join(frame["content"] for frame in frames if frame["type"] == "streaming_token")


def read(socket, until: set) -> list:
    frames = [json.loads(socket.recv(timeout=20))]
    while frames[-1]["type"] not in until:
        frames.append(json.loads(socket.recv(timeout=20)))
    return frames


def at(url: str) -> str:
    return f"{url.replace('http', 'ws', 1)}/ws/python"


def stream(url: str):
    with connect(at(url)) as socket:
        socket.send(request("text", requestId="r1"))
        frames = read(socket, terminal)
    return [text_of(frames), frames[0]["type"], frames[0]["requestId"], frames[-1]["type"], frames[-1]["reason"]]


async def streams_async(url: str):
    async with connect_async(at(url)) as socket:
        await socket.send(request("text", requestId="a"))
        await socket.send(request("text", requestId="b"))
        texts, names = {}, {}
        async for message in socket:
            frame = json.loads(message)
            if frame["type"] == "streaming_start":
                names[frame["streamId"]] = frame["requestId"]
            name = names.get(frame.get("streamId"))
            if frame["type"] == "streaming_token":
                texts[name] = texts.get(name, "") + frame["content"]
            if frame["type"] in terminal and names.pop(frame["streamId"]) and not names and len(texts) == 2:
                return texts


def ping_of_the_protocol(url: str):
    with connect(at(url)) as socket:
        return socket.ping().wait(20)


def compression_that_is_offered(url: str):
    with connect(at(url), compression="deflate") as socket:
        socket.send(request("text"))
        return text_of(read(socket, terminal))


def cancel(url: str):
    with connect(at(url)) as socket:
        socket.send(request("endless, cancelled"))
        token = read(socket, {"streaming_token"})[-1]
        socket.send(json.dumps({"type": "cancel", "streamId": token["streamId"]}))
        last = read(socket, terminal)[-1]
    return [last["type"], last["reason"]]


def socket_that_is_closed(url: str):
    with connect(at(url)) as socket:
        socket.send(request("endless, over a socket", onDisconnect="cancel"))
        return read(socket, {"streaming_token"})[-1]["content"]


def bytes_that_are_no_text(url: str):
    with connect(at(url)) as socket:
        socket.send(b"\x00\x01")
        try:
            socket.recv(timeout=20)
        except ConnectionClosed as closed:
            return closed.rcvd.code


run(
    stream,
    streams_async,
    ping_of_the_protocol,
    compression_that_is_offered,
    cancel,
    socket_that_is_closed,
    bytes_that_are_no_text,
)
