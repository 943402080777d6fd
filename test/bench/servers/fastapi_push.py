"""FastAPI on uvicorn with uvloop: the same agent loop, written as its documentation writes it."""
import json
import os

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench_answer import answer, end_of, new_stream_id, start_of, text_of, token_of

app = FastAPI()


@app.get("/health")
async def health():
    return {"status": "ok"}


@app.websocket("/ws/{client_id}")
async def chat(ws: WebSocket, client_id: str):
    await ws.accept()
    try:
        while True:
            question = json.loads(await ws.receive_text())["content"]
            stream_id = new_stream_id()
            await ws.send_text(text_of(start_of(stream_id)))
            async for content in answer(question):
                await ws.send_text(text_of(token_of(stream_id, content)))
            await ws.send_text(text_of(end_of(stream_id)))
    except WebSocketDisconnect:
        pass


uvicorn.run(
    app,
    host=os.environ["HOST"],
    port=int(os.environ["PORT"]),
    loop="uvloop",
    http="httptools",
    ws_per_message_deflate=False,
    ws_ping_interval=None,
    log_level="warning",
)
