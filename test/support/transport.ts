import { once } from 'node:events';
import { request } from 'node:http';
import { type ClientOptions, WebSocket } from 'ws';
import type { TransportConfig } from '#sdk/http';
import {
  definePlugin,
  type EventName,
  type KernelEvents,
  type Plugin,
  type Route,
  Transport,
  type Undo,
  type WebSocketEndpoint,
} from '../../kernel/index.js';
import { Kernel } from '../../kernel/kernel.js';
import { createLogger } from '../../kernel/sdk/logger.js';

/** A kernel with one transport on a free port, and a plugin that serves what a test asks for. */
export interface RunningTransport {
  readonly kernel: Kernel;
  readonly transport: Transport;
  readonly port: number;
  /** What was logged, from `debug` on. */
  readonly log: readonly LogLine[];
  /** What the bus said of connections. */
  readonly told: readonly ConnectionEvent[];
  route(route: Route): Undo;
  websocket(endpoint: WebSocketEndpoint): Undo;
  /** Keeps the kernel draining until then. */
  drainUntil(over: Promise<void>): void;
}

type ConnectionEventName = EventName & `connection:${string}`;
export type ConnectionEvent = {
  readonly [K in ConnectionEventName]: { readonly name: K; readonly event: KernelEvents[K] };
}[ConnectionEventName];

export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** Starts the plugin on a free port of the loopback interface. */
export async function runTransport(
  plugin: Plugin,
  config: Partial<TransportConfig> = {},
  plugins: readonly Plugin[] = [],
): Promise<RunningTransport> {
  const log: LogLine[] = [];
  const logger = createLogger('debug', { write: (line: string) => void log.push(JSON.parse(line)) });
  const kernel = new Kernel({ logger });
  const serve: Partial<Pick<RunningTransport, 'route' | 'websocket'>> = {};
  let drained = Promise.resolve();
  const fixture = definePlugin({
    name: 'fixture',
    apiVersion: 1,
    requires: { transport: Transport },
    setup(ctx, { transport }) {
      serve.route = (route) => ctx.effect(`route ${route.path}`, () => transport.route(route));
      serve.websocket = (endpoint) =>
        ctx.effect(`websocket ${endpoint.path}`, () => transport.websocket(endpoint));
      ctx.onDrain(() => drained);
    },
  });
  const told: ConnectionEvent[] = [];
  const listen = <K extends ConnectionEventName>(name: K) =>
    kernel.bus.on(name, (event) => void told.push({ name, event } as ConnectionEvent));
  for (const name of ['opened', 'identified', 'closed', 'refused'] as const) listen(`connection:${name}`);
  kernel.use(plugin, { config: { host: '127.0.0.1', port: 0, ...config } }).use(fixture);
  for (const each of plugins) kernel.use(each);
  await kernel.start();
  const transport = kernel.get(Transport);
  return {
    kernel,
    transport,
    log,
    told,
    port: transport.address!.port,
    drainUntil: (over) => {
      drained = over;
    },
    ...(serve as Required<typeof serve>),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
  /** The body as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into bodies freely
  readonly json: any;
}

export interface Call {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A list is sent chunk by chunk, without a length. */
  readonly body?: string | Uint8Array | readonly (string | Uint8Array)[];
}

/** One HTTP request on a connection of its own; the path goes out as it is. */
export async function call(port: number, { method = 'GET', path, headers, body }: Call): Promise<Answer> {
  const outgoing = request({ port, host: '127.0.0.1', method, path, headers, agent: false });
  if (Array.isArray(body)) for (const chunk of body) outgoing.write(chunk);
  // A server that refuses a body closes before it has all of it; its answer counts.
  outgoing.on('error', () => {});
  outgoing.end(Array.isArray(body) ? undefined : body);
  const incoming = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('close', () => reject(new Error('closed without an answer')));
  });
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  return {
    status: incoming.statusCode!,
    headers: incoming.headers,
    text,
    get json() {
      return JSON.parse(text);
    },
  };
}

/** A WebSocket client that remembers what it got. */
export class Client {
  readonly messages: string[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly ws: WebSocket;

  private constructor(ws: WebSocket) {
    this.ws = ws;
    ws.on('message', (data) => this.messages.push(data.toString()));
    ws.on('error', () => {});
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  /** Rejects when the upgrade is refused. */
  static async open(port: number, path: string, options: ClientOptions = {}): Promise<Client> {
    const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
    const client = new Client(ws);
    await once(ws, 'open');
    return client;
  }

  send(text: string | Uint8Array): void {
    this.ws.send(text);
  }

  /** The first `count` messages. */
  async take(count: number): Promise<readonly string[]> {
    while (this.messages.length < count) {
      const gone = await Promise.race([once(this.ws, 'message').then(() => undefined), this.closed]);
      if (gone && this.messages.length < count)
        throw new Error(`closed with ${gone.code} after ${this.messages.length} messages`);
    }
    return this.messages.slice(0, count);
  }
}

/** How a refused upgrade was answered. */
export async function refusedUpgrade(
  port: number,
  path: string,
  options: ClientOptions = {},
): Promise<{ readonly status: number; readonly code: string }> {
  const ws = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  ws.on('error', () => {});
  const [, response] = await once(ws, 'unexpected-response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, code: JSON.parse(text).error.code };
}

/** A promise that a test settles. */
export { deferred } from '#sdk';
