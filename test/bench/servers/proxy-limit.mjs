/** What can be had from Ollama's lines to a WebSocket: `node:http` in, a field cut out of each line, one cork a turn. */
import { Agent, request } from 'node:http';
import { endOf, newStreamId, prefixOf, startOf } from './frame.mjs';
import { contentOf, requestOf } from './ollama-line.mjs';
import { decode, serve, socketOptions } from './uws-listen.mjs';

const upstream = new Agent({ keepAlive: true, noDelay: true, maxFreeSockets: 1024 });

function reply(ws, content) {
  const streamId = newStreamId();
  const prefix = prefixOf(streamId);
  const body = requestOf(content);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  const call = request({
    host: '127.0.0.1',
    port: Number(process.env.OLLAMA_PORT),
    method: 'POST',
    path: '/api/chat',
    agent: upstream,
    headers,
  });
  let frames = [JSON.stringify(startOf(streamId))];
  const send = () => {
    for (const frame of frames) ws.send(frame);
  };
  let held;
  call.on('response', (response) =>
    response.on('data', (bytes) => {
      const whole = held ? Buffer.concat([held, bytes]) : bytes;
      const end = whole.lastIndexOf(10) + 1;
      held = end < whole.length ? whole.subarray(end) : undefined;
      for (const line of whole.utf8Slice(0, end).split('\n')) {
        if (line === '') continue;
        const json = contentOf(line);
        frames.push(json === undefined ? JSON.stringify(endOf(streamId)) : `${prefix}${json}}`);
      }
      ws.cork(send);
      frames = [];
    }),
  );
  call.end(body);
}

serve((app) =>
  app.ws('/ws/:id', {
    ...socketOptions,
    message: (ws, message) => reply(ws, JSON.parse(decode(message)).content),
  }),
);
