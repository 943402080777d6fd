/** Streams that others can join: uWebSockets' own publishing. A stream goes on when its connections are gone. */
import uWS from 'uWebSockets.js';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, prefixOf, restOf, startOf } from './frame.mjs';
import { decode, socketOptions } from './uws-listen.mjs';

const app = uWS.App();

async function reply(ws, question) {
  const streamId = newStreamId();
  const prefix = prefixOf(streamId);
  ws.subscribe(streamId);
  ws.send(JSON.stringify(startOf(streamId)));
  for await (const chunk of answer(question))
    app.publish(
      streamId,
      chunk.type === 'text' ? prefix + restOf(chunk.content) : JSON.stringify(endOf(streamId)),
    );
}

app.get('/health', (response) => response.end('{"status":"ok"}'));
app.ws('/ws/:id', {
  ...socketOptions,
  message: (ws, message) => {
    const { type, content, streamId } = JSON.parse(decode(message));
    if (type !== 'resume') return void reply(ws, content);
    ws.subscribe(streamId);
    ws.send(JSON.stringify({ ...startOf(streamId), resumed: true }));
  },
});
app.listen(process.env.HOST, Number(process.env.PORT), uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
  if (!socket) process.exit(1);
});
