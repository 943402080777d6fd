"""The agent loop and the frames of the other servers, in Python. The tokens are theirs, from a file."""
import asyncio
import json
import os
import resource
import secrets
import time

with open(os.environ["BENCH_TOKENS"], encoding="utf-8") as file:
    tokens = json.load(file)

# Node raises this by itself.
_, _most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (_most, _most))

PERIOD_S = 0.02
PLACES = 10


class Metronome:
    """One timer for all paced streams."""

    def __init__(self):
        self._waiting = [[] for _ in range(PLACES)]
        self._next = 0
        self._task = None

    def place(self):
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        self._next += 1
        return self._next % PLACES

    def beat(self, place):
        future = asyncio.get_running_loop().create_future()
        self._waiting[place].append(future)
        return future

    async def _run(self):
        step = PERIOD_S / PLACES
        done = int(time.monotonic() / step)
        while True:
            await asyncio.sleep(step)
            now = int(time.monotonic() / step)
            for at in range(max(done, now - PLACES), now):
                waiting, self._waiting[at % PLACES] = self._waiting[at % PLACES], []
                for future in waiting:
                    if not future.done():
                        future.set_result(None)
            done = now


metronome = Metronome()


def stamp():
    return str(time.monotonic_ns() // 1000).zfill(16)


async def answer(question):
    kind, *numbers = question.split(" ")
    numbers = [int(each) for each in numbers]
    if kind == "burst":
        _, count, per_turn = numbers
        for at in range(count):
            if at > 0 and at % per_turn == 0:
                await asyncio.sleep(0)
            yield tokens[at % len(tokens)]
        return
    place = metronome.place()
    for at in range(numbers[0]):
        if at == 1 and len(numbers) > 1:
            await asyncio.sleep(numbers[1] / 1000)
        if at > 0 or len(numbers) == 1:
            await metronome.beat(place)
        yield stamp() if kind == "stamped" else tokens[at % len(tokens)]


def new_stream_id():
    return secrets.token_urlsafe(18)


def text_of(frame):
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))


def start_of(stream_id):
    conversation = "00000000-0000-4000-8000-000000000000"
    return {"type": "streaming_start", "streamId": stream_id, "agent": "bench", "conversationId": conversation}


def token_of(stream_id, content):
    return {"type": "streaming_token", "streamId": stream_id, "content": content}


def end_of(stream_id):
    return {"type": "streaming_end", "streamId": stream_id, "reason": "stop", "agent": "bench"}
