"""Server-Sent Events or lines of JSON with FastAPI."""
import os

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from bench_answer import answer, end_of, new_stream_id, start_of, text_of, token_of

app = FastAPI()


@app.get("/health")
async def health():
    return {"status": "ok"}


async def parts(question, is_sse):
    stream_id = new_stream_id()
    position = 0

    def part(frame):
        text = text_of(frame)
        return "id: %d\nevent: %s\ndata: %s\n\n" % (position, frame["type"], text) if is_sse else text + "\n"

    yield part(start_of(stream_id))
    async for content in answer(question):
        position += len(content)
        yield part(token_of(stream_id, content))
    yield part(end_of(stream_id))


@app.post("/chat/stream")
async def chat(request: Request):
    is_sse = "ndjson" not in request.headers.get("accept", "")
    question = (await request.json())["content"]
    kind = "text/event-stream" if is_sse else "application/x-ndjson"
    return StreamingResponse(parts(question, is_sse), media_type=kind)


uvicorn.run(
    app,
    host=os.environ["HOST"],
    port=int(os.environ["PORT"]),
    loop="uvloop",
    http="httptools",
    timeout_keep_alive=120,
    log_level="warning",
)
