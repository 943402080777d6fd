/** Streams on several servers as many have built them: one script for each token, which the agent waits for, and a channel for each stream. */
import { createServer } from 'node:http';
import { createClient } from 'redis';
import { WebSocketServer } from 'ws';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const client = createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}` });
const subscriber = client.duplicate();
await Promise.all([client.connect(), subscriber.connect()]);
const script = `
  local sequence = redis.call('INCR', KEYS[1])
  redis.call('XADD', KEYS[2], '*', 'frame', ARGV[1])
  redis.call('PUBLISH', KEYS[2], ARGV[1])
  return sequence`;
const send = (streamId, frame) =>
  client.eval(script, { keys: [`sequence:${streamId}`, `stream:${streamId}`], arguments: [frame] });

const server = createServer((_, response) => response.end('{"status":"ok"}'));
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (socket) => {
  socket.on('message', async (message) => {
    const { type, content, streamId = newStreamId() } = JSON.parse(message);
    await subscriber.subscribe(`stream:${streamId}`, function forward(frame) {
      if (socket.readyState === socket.OPEN) socket.send(frame);
      else void subscriber.unsubscribe(`stream:${streamId}`, forward);
    });
    socket.send(JSON.stringify(startOf(streamId)));
    if (type === 'resume') return;
    for await (const batch of answer(content))
      for (const chunk of Array.isArray(batch) ? batch : [batch])
        await send(
          streamId,
          JSON.stringify(chunk.type === 'text' ? tokenOf(streamId, chunk.content) : endOf(streamId)),
        );
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
