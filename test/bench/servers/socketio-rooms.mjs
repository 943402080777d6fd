/** Streams that others can join, with the rooms of Socket.IO; on several servers where `ADAPTER` names a way between them. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf } from './frame.mjs';
import { adapterOf } from './socketio-adapter.mjs';

const server = createServer((_, response) => response.end('{"status":"ok"}'));
const io = new Server(server, {
  ...{ transports: ['websocket'], perMessageDeflate: false, pingInterval: 60_000 },
  ...(await adapterOf(process.env)),
});
io.on('connection', (socket) => {
  const start = (streamId, more) => {
    const { type, ...fields } = startOf(streamId);
    socket.join(streamId);
    socket.emit(type, { ...fields, ...more });
  };
  socket.on('resume', ({ streamId }) => start(streamId, { resumed: true }));
  socket.on('stream_request', async ({ content }) => {
    const streamId = newStreamId();
    start(streamId);
    for await (const chunk of answer(content))
      if (chunk.type === 'text')
        io.to(streamId).emit('streaming_token', { streamId, content: chunk.content });
      else {
        const { type, ...fields } = endOf(streamId);
        io.to(streamId).emit(type, fields);
      }
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
