/** What most people write: one `JSON.stringify` and one `send` a token. */
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';
import { decode, serve, socketOptions } from './uws-listen.mjs';

async function reply(ws, question) {
  const streamId = newStreamId();
  ws.send(JSON.stringify(startOf(streamId)));
  for await (const batch of answer(question))
    for (const chunk of Array.isArray(batch) ? batch : [batch])
      ws.send(JSON.stringify(chunk.type === 'done' ? endOf(streamId) : tokenOf(streamId, chunk.content)));
}

serve((app) =>
  app.ws('/ws/:id', {
    ...socketOptions,
    message: (ws, message) => void reply(ws, JSON.parse(decode(message)).content),
  }),
);
