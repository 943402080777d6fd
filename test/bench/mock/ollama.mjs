/** As much of Ollama as an agent needs, as lean as can be: prepared chunks, raw sockets, one timer. */
import { createServer } from 'node:net';
import { stamp } from '../answers/answer.mjs';
import { corpusTokens, tokens } from '../answers/corpus.mjs';
import { Metronome } from '../answers/metronome.mjs';
import { chunkOfLine, lastChunk } from './line.mjs';

const chunks = tokens.map((token) => chunkOfLine(JSON.stringify(token)));
const streamHead = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n',
);
const metronome = new Metronome();
/** Whole answers by their number of tokens. */
const bursts = new Map();

function json(body) {
  const text = JSON.stringify(body);
  return `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`;
}

const answers = {
  '/api/version': json({ version: '0.5.0' }),
  '/api/tags': json({ models: [{ name: 'bench:latest', model: 'bench:latest', size: 1 }] }),
};

/** The last message says what the answer is to be: `burst`, `paced` or `stamped`, as the bench's own agent has it. */
function chat(socket, body) {
  const [kind, ...numbers] = JSON.parse(body).messages.at(-1).content.split(' ');
  const count = Number(kind === 'burst' ? numbers[1] : numbers[0]);
  if (kind === 'burst') return socket.write(burstOf(count));
  const place = metronome.place();
  const isStamped = kind === 'stamped';
  let at = 0;
  const next = () => {
    if (socket.destroyed) return;
    socket.write(isStamped ? chunkOfLine(JSON.stringify(stamp())) : chunks[at % corpusTokens]);
    if (++at < count) metronome.once(place, next);
    else socket.write(lastChunk(count));
  };
  // The first token goes out at once, so that the wait for it says how long the way is.
  socket.write(streamHead);
  next();
}

function burstOf(count) {
  let burst = bursts.get(count);
  if (!burst) {
    const all = Array.from({ length: count }, (_, at) => chunks[at % corpusTokens]);
    burst = Buffer.concat([streamHead, ...all, lastChunk(count)]);
    bursts.set(count, burst);
  }
  return burst;
}

const server = createServer({ noDelay: true }, (socket) => {
  let held = Buffer.alloc(0);
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    held = held.length > 0 ? Buffer.concat([held, bytes]) : bytes;
    for (;;) {
      const end = held.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = held.toString('latin1', 0, end);
      const bodyBytes = bodyLength(head);
      if (held.length < end + 4 + bodyBytes) return;
      const body = held.toString('utf8', end + 4, end + 4 + bodyBytes);
      held = held.subarray(end + 4 + bodyBytes);
      const path = head.split(' ', 2)[1];
      if (path === '/api/chat') chat(socket, body);
      else socket.write(answers[path] ?? json({}));
    }
  });
});

function bodyLength(head) {
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
}

process.on('message', () => {
  server.listen(0, '127.0.0.1', 1024, () => process.send({ port: server.address().port }));
});
process.on('disconnect', () => process.exit());
