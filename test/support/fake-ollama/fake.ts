import { once } from 'node:events';
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Connection } from './connection.js';
import { expectedText, expectedThinking, expectedTokens } from './expected.js';
import { defaultModels, type ModelSpec, ModelTable } from './models.js';
import { type OwnRecord, RequestLog, type RequestRecord } from './records.js';
import { Reply } from './reply.js';
import { answerRequest, type RouteContext } from './routes.js';

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

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** A running fake Ollama server. */
export class FakeOllama {
  readonly #log = new RequestLog();
  readonly #connections = new Map<Socket, Connection>();
  readonly #running = new Set<Promise<void>>();
  readonly #stopped = new AbortController();
  readonly #context: RouteContext;
  readonly #options: FakeOllamaOptions;
  #connectionCount = 0;
  #server: HttpServer | undefined;
  #port = 0;

  constructor(options: FakeOllamaOptions) {
    this.#options = options;
    this.#context = {
      models: new ModelTable(options.models ?? defaultModels),
      explicitTokens: options.tokens,
    };
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** All requests so far, oldest first. */
  get requests(): readonly RequestRecord[] {
    return this.#log.records;
  }

  get openSockets(): number {
    return this.#connections.size;
  }

  /** Resolves with the first record that matches, now or later. */
  waitFor(predicate: (record: RequestRecord) => boolean, timeoutMs = defaultWaitMs): Promise<RequestRecord> {
    return this.#log.until(
      () => this.requests.find(predicate),
      timeoutMs,
      () => `a matching record; there are ${JSON.stringify(this.requests)}`,
    );
  }

  /** Resolves when exactly this many sockets are open. */
  async waitForOpenSockets(count: number, timeoutMs = defaultWaitMs): Promise<void> {
    await this.#log.until(
      () => (this.openSockets === count ? true : undefined),
      timeoutMs,
      () => `${count} open sockets; there are ${this.openSockets}`,
    );
  }

  /** What `expectedTokens` says for the tokens of this fake. */
  expectedTokens(model: string): string[] {
    return expectedTokens(model, this.#options.tokens);
  }

  /** What `expectedText` says for the tokens of this fake. */
  expectedText(model: string): string {
    return expectedText(model, this.#options.tokens);
  }

  /** What `expectedThinking` says. */
  expectedThinking(model: string): string {
    return expectedThinking(model);
  }

  /** Starts to listen, the first time on the port of the options, later on the same. */
  async listen(): Promise<void> {
    const server = createServer(
      // Like Go's server, which closes no connection on its own.
      { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 },
      (request, response) => this.#accept(request, response),
    );
    server.on('connection', (socket: Socket) => this.#connect(socket));
    server.listen({ port: this.#port || (this.#options.port ?? 0), host: '127.0.0.1' });
    await once(server, 'listening');
    // Closed while it was still coming up.
    if (this.#stopped.signal.aborted) {
      server.close();
      return;
    }
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
  }

  /** Destroys everything; resolves when no socket is left and no answer runs. */
  async close(): Promise<void> {
    this.#stopped.abort();
    await this.#hangUp();
    await Promise.all(this.#running);
    this.#log.close();
  }

  async #hangUp(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const connection of this.#connections.values()) connection.reset('fake');
    await closed;
  }

  #connect(socket: Socket): void {
    this.#connectionCount += 1;
    const connection = new Connection(this.#connectionCount, socket, () => {
      this.#connections.delete(socket);
      this.#log.changed();
    });
    this.#connections.set(socket, connection);
    this.#log.changed();
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    const answered: Promise<void> = this.#answer(request, response).catch((error: unknown) => {
      // Whoever left is no failure of the fake.
      if (!isAbort(error)) throw error;
    });
    this.#running.add(answered);
    // A real failure stays an unhandled rejection, so that a test run shows it.
    void answered.finally(() => this.#running.delete(answered));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const connection = this.#connections.get(request.socket);
    if (connection === undefined) return;
    connection.requests += 1;
    const record = this.#log.add({
      method: request.method ?? '',
      path: (request.url ?? '').split('?')[0] ?? '',
      headers: request.headers,
      connection: connection.number,
      position: connection.requests,
    });
    connection.add(record);
    const deadline = setTimeout(
      () => connection.reset('deadline'),
      this.#options.deadlineMs ?? defaultDeadlineMs,
    );
    const stopDeadline = (): void => clearTimeout(deadline);
    connection.gone.addEventListener('abort', stopDeadline, { once: true });
    try {
      const body = await readBody(request);
      if (body === undefined) return;
      setBody(record, body);
      this.#log.changed();
      const reply = new Reply(response, connection, record, this.#log);
      await answerRequest(reply, body, this.#context);
    } finally {
      stopDeadline();
      connection.gone.removeEventListener('abort', stopDeadline);
    }
  }
}

/** The body as text, or undefined when the caller left before its end. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}

function setBody(record: OwnRecord, text: string): void {
  try {
    record.body = JSON.parse(text);
  } catch {
    record.body = text;
  }
  const { body } = record;
  if (typeof body === 'object' && body !== null && 'model' in body) record.model = String(body.model);
}
