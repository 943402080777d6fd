/** The `ws` package as its documentation uses it. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const server = createServer((_, response) => response.end('{"status":"ok"}'));
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws) => {
  ws.on('message', async (message) => {
    const streamId = newStreamId();
    ws.send(JSON.stringify(startOf(streamId)));
    for await (const batch of answer(JSON.parse(message).content))
      for (const chunk of Array.isArray(batch) ? batch : [batch])
        ws.send(JSON.stringify(chunk.type === 'done' ? endOf(streamId) : tokenOf(streamId, chunk.content)));
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
