/** Socket.IO over its WebSocket transport alone. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf } from './frame.mjs';

const server = createServer((_, response) => response.end('{"status":"ok"}'));
const io = new Server(server, { transports: ['websocket'], perMessageDeflate: false, pingInterval: 60_000 });
io.on('connection', (socket) => {
  socket.on('stream_request', async ({ content: question }) => {
    const streamId = newStreamId();
    const { type: start, ...started } = startOf(streamId);
    socket.emit(start, started);
    for await (const batch of answer(question))
      for (const chunk of Array.isArray(batch) ? batch : [batch]) {
        if (chunk.type === 'text') socket.emit('streaming_token', { streamId, content: chunk.content });
        else {
          const { type: end, ...ended } = endOf(streamId);
          socket.emit(end, ended);
        }
      }
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
