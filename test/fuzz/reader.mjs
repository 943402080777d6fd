import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { responses } from './corpus.mjs';
import { mutateBytes } from './mutate-bytes.mjs';
import { Random } from './random.mjs';

const built = new URL('../../dist/kernel/sdk/upstream/', import.meta.url);
const recorded = ['ollama', 'llama-server'].map((name) =>
  readFileSync(new URL(`../fixtures/responses/${name}.http`, import.meta.url)),
);

/**
 * Good responses, changed anywhere and cut anywhere, read by both HTTP clients of `waggle-server/sdk/upstream`, which must
 * make the same of them. Returns findings as the parts for transports do.
 */
export async function fuzzReader(forMs, { seed, attempt: only }, keep) {
  const { Exchange, NodeClient, SocketClient } = await clients();
  const findings = [];
  let pieces = [];
  const server = createServer({ noDelay: true }, async (socket) => {
    socket.on('error', () => {}).resume();
    for (const piece of pieces) {
      if (socket.destroyed) return;
      socket.write(piece);
      await nextTurn();
    }
    socket.end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = new URL(`http://127.0.0.1:${server.address().port}`);
  const untilMs = performance.now() + forMs;
  let number = only ?? seed;
  do {
    const random = new Random(number);
    const bytes = mutateBytes(random.pick([...responses, ...recorded]), random);
    pieces = cut(bytes, random);
    const outcomes = [];
    for (const client of [new SocketClient(5000, new NodeClient(5000)), new NodeClient(5000)])
      outcomes.push(
        await outcomeOf(new Exchange(client, { bodyLimitBytes: 1e6 }, new AbortController().signal), url),
      );
    const complaint = complaintOf(...outcomes, bytes.toString('latin1'));
    if (complaint) {
      findings.push(`reader, --attempt ${number}: ${complaint}`);
      keep(`reader-${number}`, bytes);
    }
    number++;
  } while (performance.now() < untilMs);
  server.close();
  console.log(
    `reader: ${number - (only ?? seed)} attempts from seed ${only ?? seed}, ${findings.length} findings`,
  );
  return findings;
}

async function clients() {
  const [{ Exchange }, { NodeClient }, { SocketClient }] = await Promise.all(
    ['exchange.js', 'node-client.js', 'http1/socket-client.js'].map(
      (file) => import(new URL(file, built).href),
    ),
  );
  return { Exchange, NodeClient, SocketClient };
}

async function outcomeOf(exchange, url) {
  const body = [];
  try {
    const response = await exchange.send(url);
    const error = await new Promise((resolve) => {
      response.read({
        onBytes: (bytes) => body.push(Buffer.from(bytes)),
        onEnd: () => resolve(undefined),
        onError: resolve,
      });
    });
    const { statusCode: status, headers } = response;
    return {
      head: JSON.stringify([status, headers]),
      body: Buffer.concat(body).toString('latin1'),
      lost: Boolean(error),
    };
  } catch ({ code = '' }) {
    return { code: code.replace(/^HPE_.*/, 'HPE') };
  } finally {
    await exchange.close(false);
  }
}

function complaintOf(ours, theirs, text) {
  // On purpose: RTSP and ICE, CR in place of LF, lengths beyond 2^53, contradictions in a line without an end.
  if (
    /^[\r\n]*[IR]|\r\r|\ncontent-length: *\d{16}|\n(content-length|transfer-encoding)[^\n]*\n?$/i.test(text)
  )
    return;
  const isSame =
    ours.code === theirs.code &&
    ours.head === theirs.head &&
    ours.lost === theirs.lost &&
    (ours.lost || ours.body === theirs.body);
  return isSame ? undefined : JSON.stringify({ ours, theirs }).slice(0, 500);
}

function cut(bytes, random) {
  const pieces = [];
  for (let from = 0; from < bytes.length; ) {
    const to = random.chance(0.5) ? bytes.length : from + 1 + random.below(bytes.length);
    pieces.push(bytes.subarray(from, to));
    from = to;
  }
  return pieces;
}
