import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { bytesOf, frameBytesOf, frames, requests } from './corpus.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { mutateJson, writeJson } from './mutate-json.mjs';

/** How long an answer that must come may take. */
const answerTimeoutMs = 15_000;
/** How long bytes that need no answer are listened to. */
const silenceTimeoutMs = 100;
const odds = [
  '%',
  '%00',
  '%2e%2e%2f',
  '\u007f',
  '//',
  '?',
  '#',
  '{',
  'x'.repeat(4000),
  '%F0%9F%90%9D',
  '&user_id=b',
];

/** What none of the server's answers may hold: stacks, paths, and errors that it had no word for. */
const leak =
  /\n\s+at .+:\d+:\d+|node_modules|\/dist\/|"code":"INTERNAL"|HTTP\/1\.1 500(?!.*"code":"TASK_FAILED")/s;

/** Some good requests in a row as bytes, changed anywhere, and written in pieces. Any answer will do, or none. */
async function attackBytes(port, random, sent) {
  const count = random.below(3) + 1;
  const good = Array.from({ length: count }, () => bytesOf(random.pick(requests), port));
  return talk(port, mutateBytes(Buffer.concat(good), random), random, sent);
}

/** A handshake, then frames as bytes, changed anywhere. */
async function attackFrameBytes(port, random, sent) {
  const handshake = bytesOf({ ...requests.at(-1), path: `/ws/f${random.below(1000)}` }, port);
  const count = random.below(4) + 1;
  const good = Array.from({ length: count }, () => frameBytesOf(JSON.stringify(random.pick(frames))));
  return talk(port, Buffer.concat([handshake, mutateBytes(Buffer.concat(good), random)]), random, sent);
}

/** A request whose framing is right and whose content is not. It must be answered, whole. */
async function attackContent(port, random, sent) {
  const request = { ...random.pick(requests) };
  if (request.body !== undefined) request.body = writeJson(mutateJson(request.body, random), random);
  else if (random.chance(0.7)) request.path = oddPath(request.path, random);
  const isUpgrade = request.headers?.upgrade !== undefined;
  const bytes = bytesOf(request, port, isUpgrade ? {} : { connection: 'close' });
  sent(bytes);
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket
    .on('error', () => {})
    .on('data', (text) => {
      answer += text;
      if (isUpgrade) socket.end();
    });
  socket.write(bytes);
  const closed = await within(answerTimeoutMs, closeOf(socket));
  socket.destroy();
  if (!answer.startsWith('HTTP/1.1 ')) return `no answer but ${JSON.stringify(answer.slice(0, 80))}`;
  if (!closed) return 'an answer without an end';
  return complaintOf(answer);
}

/** Frames whose content is wrong. The connection must still answer, or be closed. */
async function attackFrames(port, random, sent) {
  const id = random.chance(0.9) ? `a${random.below(1e9)}` : 'shared';
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/${id}`);
  const closed = closeOf(socket);
  socket.on('error', () => {});
  const ponged = new Promise((resolve) => {
    socket.on('message', (data) => {
      const text = data.toString('latin1');
      if (text === '{"type":"pong"}') resolve(undefined);
      const complaint = complaintOf(text);
      if (complaint) resolve(complaint);
    });
  });
  const opened = new Promise((resolve) => socket.on('open', resolve));
  await within(answerTimeoutMs, Promise.race([opened, closed]));
  for (let left = random.below(20) + 1; left > 0; left--) {
    const frame = random.pick(frames);
    const text = random.chance(0.2) ? JSON.stringify(frame) : writeJson(mutateJson(frame, random), random);
    sent(Buffer.from(text));
    if (socket.readyState === WebSocket.OPEN) socket.send(text);
  }
  if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}');
  const over = await within(
    answerTimeoutMs,
    Promise.race([ponged.then((complaint) => ({ complaint })), closed.then(() => ({}))]),
  );
  socket.terminate();
  return over ? over.complaint : 'no pong, and no close either';
}

export const attacks = { attackBytes, attackFrameBytes, attackContent, attackFrames };

function complaintOf(text) {
  const [found] = leak.exec(text) ?? [];
  return found && `an answer with ${JSON.stringify(found)}: ${JSON.stringify(text.slice(-300))}`;
}

function oddPath(path, random) {
  const at = random.below(path.length + 1);
  return encodeURI(`${path.slice(0, at)}${random.pick(odds)}${path.slice(at)}`)
    .replaceAll('%25', '%')
    .replace(/^[^/]/, '/');
}

async function talk(port, bytes, random, sent) {
  sent(bytes);
  const socket = connect(port, '127.0.0.1').setEncoding('latin1');
  let answer = '';
  socket.on('error', () => {});
  socket.on('data', (text) => {
    answer = (answer + text).slice(-100_000);
  });
  const closed = closeOf(socket);
  for (let from = 0; from < bytes.length && !socket.destroyed; ) {
    const to = random.chance(0.7) ? bytes.length : from + 1 + random.below(bytes.length);
    socket.write(bytes.subarray(from, to));
    from = to;
    await nextTurn();
  }
  await within(silenceTimeoutMs, closed);
  if (random.chance(0.5)) socket.resetAndDestroy();
  else socket.destroy();
  return complaintOf(answer);
}

/** Resolves at the close; `once` of Node.js would reject at an error before it. */
function closeOf(socket) {
  return new Promise((resolve) => socket.on('close', () => resolve(true)));
}

/** What a promise resolves with; undefined when that takes too long. */
async function within(timeoutMs, promise) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  const result = await Promise.race([promise, late]);
  clearTimeout(timer);
  return result;
}
