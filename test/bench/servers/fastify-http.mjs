/** Server-Sent Events or lines of JSON with Fastify, from a stream as its documentation has it. */
import { Readable } from 'node:stream';
import fastify from 'fastify';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

async function* parts(question, isSse) {
  const streamId = newStreamId();
  let position = 0;
  const part = (frame) => {
    const json = JSON.stringify(frame);
    return isSse ? `id: ${position}\nevent: ${frame.type}\ndata: ${json}\n\n` : `${json}\n`;
  };
  yield part(startOf(streamId));
  for await (const chunk of answer(question)) {
    if (chunk.type === 'text') position += chunk.content.length;
    yield part(chunk.type === 'text' ? tokenOf(streamId, chunk.content) : endOf(streamId));
  }
}

const app = fastify();
app.get('/health', async () => ({ status: 'ok' }));
app.post('/chat/stream', (request, reply) => {
  const isSse = !request.headers.accept?.includes('ndjson');
  reply.type(isSse ? 'text/event-stream' : 'application/x-ndjson');
  return reply.send(Readable.from(parts(request.body.content, isSse)));
});
await app.listen({ host: process.env.HOST, port: Number(process.env.PORT) });
