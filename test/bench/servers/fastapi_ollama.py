"""FastAPI and aiohttp between Ollama and a WebSocket."""
import json
import os
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from bench_answer import end_of, new_stream_id, start_of, text_of, token_of

upstream = "http://127.0.0.1:%s/api/chat" % os.environ["OLLAMA_PORT"]


@asynccontextmanager
async def lifespan(app):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as app.state.session:
        yield


app = FastAPI(lifespan=lifespan)


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
            messages = [{"role": "user", "content": question}]
            async with app.state.session.post(upstream, json={"model": "bench", "messages": messages, "stream": True}) as reply:
                async for line in reply.content:
                    said = json.loads(line)
                    if not said["done"]:
                        await ws.send_text(text_of(token_of(stream_id, said["message"]["content"])))
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
