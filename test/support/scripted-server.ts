import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What is sent next, as one write; for a promise the server waits, so a test that holds it decides when to go on. */
export type Step = string | Uint8Array | Promise<unknown>;

/** One answer, byte for byte. */
export interface Script {
  readonly status?: number;
  /** None but these are sent, besides those that frame the body. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Step | readonly Step[];
  /** After the body: its end, no end at all, a closed connection or a reset one. */
  readonly end?: 'end' | 'open' | 'close' | 'reset';
  /** Everything, the head included, comes from `body`. */
  readonly raw?: boolean;
}

/** A request as it came. */
export interface Seen {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Parsed where it is JSON. */
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into bodies freely
  readonly body: any;
  /** Resolves when its answer has ended, or its connection. */
  readonly closed: Promise<unknown>;
}

/** What each request is answered with; several are for one request after the other, the last one for all that follow. */
export type Scripts = Script | readonly Script[] | ((request: Seen) => Script);

export interface ScriptedServer {
  /** Without a path. */
  readonly url: string;
  /** The chats among them: neither a GET nor a question about a model. */
  readonly chats: readonly Seen[];
  readonly requests: readonly Seen[];
  /** Answers of chats from now on. */
  play(scripts: Scripts): void;
  close(): Promise<void>;
}

const listed = JSON.stringify({
  version: '0.0.0',
  models: [{ name: 'm', model: 'm', details: { family: 'llama' } }],
  data: [{ id: 'm' }],
});

/**
 * A model server that sends just these bytes. A GET is answered by `gets`, which lists the one model `m` in both dialects, a
 * question about a model by `shows`.
 */
export async function startScriptedServer(
  scripts: Scripts = {},
  {
    gets = { headers: { 'content-type': 'application/json' }, body: listed },
    shows = { status: 404 },
    tls,
  }: ServerSetup = {},
): Promise<ScriptedServer> {
  const requests: Seen[] = [];
  let chats = 0;
  let next = scriptOf(scripts);
  const nextGet = scriptOf(gets);
  const nextShow = scriptOf(shows);
  let got = 0;
  let shown = 0;
  const server = (tls ? createTlsServer(tls) : createServer()) as Server;
  server.on('request', async (request, response) => {
    const pieces: Uint8Array[] = [];
    request.on('data', (piece: Uint8Array) => pieces.push(piece));
    request.on('error', () => {});
    response.on('error', () => {});
    await once(request, 'end');
    const { method = '', url: path = '', headers } = request;
    const closed = once(response, 'close');
    const text = Buffer.concat(pieces).toString();
    const seen = { method, path, headers, text, body: parsed(text), closed };
    requests.push(seen);
    const script = () => (isShow(seen) ? nextShow(seen, shown++) : next(seen, chats++));
    await perform(method === 'GET' ? nextGet(seen, got++) : script(), response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}`,
    requests,
    get chats() {
      return requests.filter((seen) => seen.method !== 'GET' && !isShow(seen));
    },
    play(others) {
      next = scriptOf(others);
      chats = 0;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function isShow({ path }: Seen): boolean {
  return path.endsWith('/api/show');
}

export interface ServerSetup {
  readonly gets?: Scripts;
  readonly shows?: Scripts;
  readonly tls?: ServerOptions;
}

/** An event stream of these values; a text is the data of an event as it is. */
export function events(...values: readonly unknown[]): string {
  return values.map((value) => `data: ${textOf(value)}\n\n`).join('');
}

/** Lines of JSON. */
export function lines(...values: readonly unknown[]): string {
  return values.map((value) => `${textOf(value)}\n`).join('');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function scriptOf(scripts: Scripts): (request: Seen, place: number) => Script {
  if (typeof scripts === 'function') return scripts;
  const list = Array.isArray(scripts) ? (scripts as readonly Script[]) : [scripts as Script];
  return (_, place) => list[Math.min(place, list.length - 1)] ?? {};
}

async function perform(script: Script, response: ServerResponse): Promise<void> {
  const { status = 200, headers = {}, body = [], end = 'end', raw = false } = script;
  const { socket } = response;
  if (!raw) response.sendDate = false;
  if (!raw) response.writeHead(status, headers);
  for (const step of Array.isArray(body) ? (body as readonly Step[]) : [body as Step]) {
    if (step instanceof Promise) await step;
    else if (raw) socket?.write(step);
    else if (step.length > 0) response.write(step);
  }
  if (end === 'reset') socket?.resetAndDestroy();
  else if (end === 'close' || (raw && end === 'end')) socket?.end();
  else if (end === 'end') response.end();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
