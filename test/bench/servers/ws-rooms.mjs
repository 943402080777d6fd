/** Streams that others can join, over `ws`: one set of sockets a stream, and a loop. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const rooms = new Map();
const server = createServer((_, response) => response.end('{"status":"ok"}'));
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws) => {
  const joined = new Set();
  ws.on('error', () => {});
  ws.on('close', () => {
    for (const room of joined) room.delete(ws);
  });
  const join = (room) => {
    room.add(ws);
    joined.add(room);
  };
  ws.on('message', async (message) => {
    const { type, content, streamId: wanted } = JSON.parse(message);
    if (type === 'resume') {
      join(rooms.get(wanted) ?? new Set());
      return ws.send(JSON.stringify({ ...startOf(wanted), resumed: true }));
    }
    const streamId = newStreamId();
    const room = new Set();
    rooms.set(streamId, room);
    join(room);
    ws.send(JSON.stringify(startOf(streamId)));
    for await (const chunk of answer(content)) {
      const frame = chunk.type === 'text' ? tokenOf(streamId, chunk.content) : endOf(streamId);
      const text = JSON.stringify(frame);
      for (const each of room) each.send(text);
    }
    rooms.delete(streamId);
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
