/** Server-Sent Events or lines of JSON with `node:http` alone: one `write` a token. */
import { createServer } from 'node:http';
import { answer } from '../answers/answer.mjs';
import { endOf, newStreamId, startOf, tokenOf } from './frame.mjs';

async function bodyOf(request) {
  let text = '';
  for await (const part of request.setEncoding('utf8')) text += part;
  return JSON.parse(text);
}

// The default of 5 s closes connections that wait for their turn.
createServer({ keepAliveTimeout: 120_000 }, async (request, response) => {
  if (request.method === 'GET') return response.end('{"status":"ok"}');
  const isSse = !request.headers.accept?.includes('ndjson');
  const { content } = await bodyOf(request);
  const streamId = newStreamId();
  let position = 0;
  const write = (frame) => {
    const json = JSON.stringify(frame);
    response.write(isSse ? `id: ${position}\nevent: ${frame.type}\ndata: ${json}\n\n` : `${json}\n`);
  };
  response.writeHead(200, { 'content-type': isSse ? 'text/event-stream' : 'application/x-ndjson' });
  write(startOf(streamId));
  for await (const chunk of answer(content)) {
    if (chunk.type === 'text') position += chunk.content.length;
    write(chunk.type === 'text' ? tokenOf(streamId, chunk.content) : endOf(streamId));
  }
  response.end();
}).listen(Number(process.env.PORT), process.env.HOST);
