/** The `ws` package and the `ollama` client, as their documentation joins them. */
import { createServer } from 'node:http';
import { Ollama } from 'ollama';
import { WebSocketServer } from 'ws';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

const ollama = new Ollama({ host: `http://127.0.0.1:${process.env.OLLAMA_PORT}` });
const server = createServer((_, response) => response.end('{"status":"ok"}'));
new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws) => {
  ws.on('message', async (message) => {
    const { content } = JSON.parse(message);
    const streamId = newStreamId();
    ws.send(JSON.stringify(startOf(streamId)));
    const parts = await ollama.chat({ model: 'bench', messages: [{ role: 'user', content }], stream: true });
    for await (const { message: said, done } of parts)
      if (!done) ws.send(JSON.stringify(tokenOf(streamId, said.content)));
    ws.send(JSON.stringify(endOf(streamId)));
  });
});
server.listen(Number(process.env.PORT), process.env.HOST);
