/** `resumable-stream` on Fastify: each stream is in the memory of its server, and others are sent it over Redis. */
import websocket from '@fastify/websocket';
import fastify from 'fastify';
import { createClient } from 'redis';
import { createResumableStreamContext } from 'resumable-stream';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const publisher = createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}` });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);
const streams = createResumableStreamContext({ waitUntil: null, publisher, subscriber });

async function* framesOf(streamId, content) {
  for await (const batch of answer(content))
    for (const chunk of Array.isArray(batch) ? batch : [batch])
      yield `${JSON.stringify(chunk.type === 'text' ? tokenOf(streamId, chunk.content) : endOf(streamId))}\n`;
}

/** Sends the lines of a stream but for the first ones. */
async function forward(stream, ws, skipped) {
  let rest = '';
  for await (const piece of stream) {
    const lines = `${rest}${piece}`.split('\n');
    rest = lines.pop();
    for (const line of lines) if (skipped-- <= 0 && ws.readyState === ws.OPEN) ws.send(line);
  }
}

const app = fastify();
await app.register(websocket, { options: { perMessageDeflate: false } });
app.get('/health', async () => ({ status: 'ok' }));
app.get('/ws/:id', { websocket: true }, (ws) => {
  ws.on('message', async (message) => {
    const { type, content, streamId = newStreamId() } = JSON.parse(message);
    ws.send(JSON.stringify(startOf(streamId)));
    const isJoined = type === 'resume';
    const stream = isJoined
      ? await streams.resumeExistingStream(streamId)
      : await streams.createNewResumableStream(streamId, () =>
          ReadableStream.from(framesOf(streamId, content)),
        );
    await forward(stream, ws, isJoined ? 1 : 0);
  });
});
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) });
