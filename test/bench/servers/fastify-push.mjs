/** Fastify with its own WebSocket plugin. */
import websocket from '@fastify/websocket';
import fastify from 'fastify';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const app = fastify();
await app.register(websocket, { options: { perMessageDeflate: false } });
app.get('/health', async () => ({ status: 'ok' }));
app.get('/ws/:id', { websocket: true }, (ws) => {
  ws.on('message', async (message) => {
    const streamId = newStreamId();
    ws.send(JSON.stringify(startOf(streamId)));
    for await (const batch of answer(JSON.parse(message).content))
      for (const chunk of Array.isArray(batch) ? batch : [batch])
        ws.send(JSON.stringify(chunk.type === 'done' ? endOf(streamId) : tokenOf(streamId, chunk.content)));
  });
});
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) });
