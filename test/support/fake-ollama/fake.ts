import { once } from 'node:events';
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Waiters } from '../waiters.js';
import { Connection } from './connection.js';
import { expectedText, expectedThinking, expectedTokens, tokensOf } from './expected.js';
import { defaultModels, type ModelSpec, ModelTable, Refusal, readRequest } from './models.js';
import { modes, parseMode } from './modes.js';
import { Params } from './params.js';
import type { OwnRecord, RequestRecord } from './record.js';
import { Reply } from './reply.js';

/** Settings of a fake; all have defaults. */
export interface FakeOllamaOptions {
  /** 0 takes any free port. */
  readonly port?: number;
  /** The installed models: names, or more. */
  readonly models?: readonly (string | ModelSpec)[];
  /** Content tokens in place of the seeded ones. */
  readonly tokens?: readonly string[];
  /** A request that still runs after this time is cut off. */
  readonly deadlineMs?: number;
}

const defaultDeadlineMs = 120_000;
// Below the runner's own limit, so that the message here is the one that is seen.
const defaultWaitMs = 4_000;

/** A running fake Ollama server. */
export class FakeOllama {
  readonly #records: OwnRecord[] = [];
  readonly #waiters = new Waiters();
  readonly #connections = new Map<Socket, Connection>();
  readonly #running = new Set<Promise<void>>();
  readonly #options: FakeOllamaOptions;
  readonly #models: ModelTable;
  readonly #changed = (): void => this.#waiters.check();
  #connectionCount = 0;
  #server: HttpServer | undefined;
  #port = 0;

  constructor(options: FakeOllamaOptions) {
    this.#options = options;
    this.#models = new ModelTable(options.models ?? defaultModels);
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** All requests so far, oldest first. */
  get requests(): readonly RequestRecord[] {
    return this.#records;
  }

  get openSockets(): number {
    return this.#connections.size;
  }

  /** Resolves with the first record that matches, now or later. */
  waitFor(predicate: (record: RequestRecord) => boolean, timeoutMs = defaultWaitMs): Promise<RequestRecord> {
    return this.#waiters.until(
      () => this.requests.find(predicate),
      timeoutMs,
      () => `a matching record; there are ${JSON.stringify(this.requests)}`,
    );
  }

  /** Resolves when exactly this many sockets are open. */
  async waitForOpenSockets(count: number, timeoutMs = defaultWaitMs): Promise<void> {
    await this.#waiters.until(
      () => (this.openSockets === count ? true : undefined),
      timeoutMs,
      () => `${count} open sockets; there are ${this.openSockets}`,
    );
  }

  /** The content tokens of an answer by this model. */
  expectedTokens(model: string): string[] {
    return expectedTokens(model, this.#options.tokens);
  }

  /** The whole content of an answer by this model. */
  expectedText(model: string): string {
    return expectedText(model, this.#options.tokens);
  }

  /** The whole thinking of an answer by this model. */
  expectedThinking(model: string): string {
    return expectedThinking(model);
  }

  /** Listens on the port of the options the first time, on the same port later. */
  async listen(): Promise<void> {
    const server = createServer(
      // Like Go's server, which closes no connection on its own.
      { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 },
      (request, response) => this.#accept(request, response),
    );
    server.on('connection', (socket: Socket) => this.#connect(socket));
    server.listen({ port: this.#port || (this.#options.port ?? 0), host: '127.0.0.1' });
    this.#server = server;
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Destroys everything; resolves when no socket is left and no answer runs. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server) {
      const closed = once(server, 'close');
      server.close();
      for (const connection of this.#connections.values()) connection.reset('fake');
      await closed;
    }
    await Promise.all(this.#running);
    this.#waiters.fail(new Error('the fake was closed'));
  }

  #connect(socket: Socket): void {
    this.#connectionCount += 1;
    const connection = new Connection(this.#connectionCount, socket, () => {
      this.#connections.delete(socket);
      this.#changed();
    });
    this.#connections.set(socket, connection);
    this.#changed();
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const answered: Promise<void> = this.#answer(request, response).catch((error: unknown) => {
      // A peer that left is no failure of the fake.
      if (!(error instanceof Error && error.name === 'AbortError')) throw error;
    });
    this.#running.add(answered);
    // A real failure stays an unhandled rejection, so that a test run shows it.
    void answered.finally(() => this.#running.delete(answered));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#connections.get(request.socket);
    if (!connection) return;
    const record: OwnRecord = {
      id: this.#records.length + 1,
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] ?? '',
      headers: request.headers,
      model: undefined,
      mode: undefined,
      connection: connection.number,
      position: connection.records.length + 1,
      body: undefined,
      atMs: { requestReceived: performance.now(), firstByteSent: undefined, peerClosed: undefined },
      finished: false,
      lines: 0,
      bytes: 0,
      endedBy: undefined,
    };
    this.#records.push(record);
    connection.records.push(record);
    const deadline = setTimeout(
      () => connection.reset('deadline'),
      this.#options.deadlineMs ?? defaultDeadlineMs,
    );
    const stopDeadline = (): void => clearTimeout(deadline);
    connection.gone.addEventListener('abort', stopDeadline, { once: true });
    try {
      record.body = await readBody(request);
      if (connection.gone.aborted) return;
      if (typeof record.body === 'object' && record.body !== null && 'model' in record.body)
        record.model = String(record.body.model);
      this.#changed();
      await this.#route(new Reply(response, connection, record, this.#changed));
    } finally {
      stopDeadline();
      connection.gone.removeEventListener('abort', stopDeadline);
    }
  }

  async #route(reply: Reply): Promise<void> {
    const { method, path } = reply.record;
    switch (`${method} ${path}`) {
      case 'GET /':
        return reply.whole(200, 'text/plain; charset=utf-8', 'Ollama is running');
      case 'GET /api/version':
        return reply.json(200, { version: '0.12.6' });
      case 'GET /api/tags':
        return reply.json(200, this.#models.tags());
      case 'GET /v1/models':
        return reply.json(200, this.#models.v1());
      case 'POST /api/chat':
      case 'POST /v1/chat/completions':
        return this.#generate(reply).catch((error: unknown) => {
          if (!(error instanceof Refusal)) throw error;
          return reply.error(error.status, error.message);
        });
      default:
        return reply.whole(404, 'text/plain', '404 page not found');
    }
  }

  async #generate(reply: Reply): Promise<void> {
    const { tokens: explicitTokens } = this.#options;
    const request = readRequest(reply.record.body);
    reply.request = request;
    const thinks = this.#models.check(request);
    const plain = { name: thinks ? ('thinking' as const) : ('normal' as const), params: new Params() };
    const { name, params } = parseMode(request.model) ?? plain;
    reply.record.mode = name;
    this.#changed();
    const tokens = tokensOf(modes[name], params, explicitTokens);
    for (const step of modes[name].steps) await step({ reply, request, params, tokens, explicitTokens });
  }
}

/** The parsed body, or its text when it is not JSON; undefined when the caller left before its end. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  const text = Buffer.concat(chunks).toString();
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
