import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import {
  createMcpHandler,
  isInitializeRequest,
  type McpHttpHandler,
  Server,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import { lowPort } from './free-port.js';
import { Waiters } from './waiters.js';

/** A tool of the scripted server. Its definition is sent as it stands, however wrong it is. */
export interface ScriptedTool {
  readonly definition: Readonly<Record<string, unknown>>;
  run?(args: Readonly<Record<string, unknown>>, context: ServerContext): unknown;
}

export interface McpServerOptions {
  /** `modern` speaks 2026-07-28 only, `legacy` 2025-11-25 with sessions. */
  readonly era: 'modern' | 'legacy';
  readonly tools: readonly ScriptedTool[];
  /** All on one page when absent. */
  readonly pageSize?: number;
}

const boundMs = 20_000;

/** A tool that answers with a text. */
export function tool(
  name: string,
  run: (args: Readonly<Record<string, unknown>>, context: ServerContext) => unknown = () => name,
  more: Readonly<Record<string, unknown>> = {},
): ScriptedTool {
  return {
    definition: { name, description: `The tool ${name}`, inputSchema: { type: 'object' }, ...more },
    run: async (args, context) => {
      const result = await run(args, context);
      return typeof result === 'string' ? { content: [{ type: 'text', text: result }] } : result;
    },
  };
}

/** An MCP server over HTTP in this process, whose faults a test brings about. */
export class McpServer {
  readonly calls: { readonly name: string; readonly signal: AbortSignal }[] = [];
  readonly requests: { readonly method: string; readonly headers: IncomingMessage['headers'] }[] = [];
  readonly sockets = new Set<Socket>();
  readonly sessions = new Map<
    string,
    { transport: WebStandardStreamableHTTPServerTransport; server: Server }
  >();
  lists = 0;
  readonly #options: McpServerOptions;
  readonly #waiters = new Waiters();
  #tools: readonly ScriptedTool[];
  #modern: McpHttpHandler | undefined;
  #http: HttpServer | undefined;
  port = 0;

  private constructor(options: McpServerOptions) {
    this.#options = options;
    this.#tools = options.tools;
  }

  static async start(options: McpServerOptions): Promise<McpServer> {
    const server = new McpServer(options);
    server.port = await lowPort();
    await server.listen();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  /** Listens, again on the same port after a `kill`. */
  async listen(): Promise<void> {
    if (this.#options.era === 'modern')
      this.#modern = createMcpHandler(() => this.#server(), { legacy: 'reject', keepAliveMs: 0 });
    this.#http = createServer((request, response) => void this.#serve(request, response));
    this.#http.on('connection', (socket) => {
      this.sockets.add(socket);
      socket.once('close', () => {
        this.sockets.delete(socket);
        this.#waiters.check();
      });
    });
    await new Promise<void>((resolve) => this.#http?.listen(this.port, '127.0.0.1', resolve));
    this.port = (this.#http.address() as AddressInfo).port;
  }

  /** Breaks all connections, and those of the next ones that come until `listen`. */
  async kill(): Promise<void> {
    const http = this.#http;
    if (!http) return;
    this.#http = undefined;
    const closed = new Promise((resolve) => http.close(resolve));
    this.cut();
    await closed;
    await this.#modern?.close();
    for (const { transport } of this.sessions.values()) await transport.close();
    this.sessions.clear();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** Replaces the tools and tells the clients. */
  setTools(tools: readonly ScriptedTool[]): void {
    this.#tools = tools;
    this.#modern?.notify.toolsChanged();
    for (const { server } of this.sessions.values()) void server.sendToolListChanged().catch(() => {});
  }

  /** Resolves when `find` gives something. */
  until<T>(find: () => T | undefined, what: string): Promise<T> {
    return this.#waiters.until(find, boundMs, () => what);
  }

  /** Lets waiters look again. */
  touch(): void {
    this.#waiters.check();
  }

  #server(): Server {
    const server = new Server(
      { name: 'scripted', version: '1' },
      { capabilities: { tools: { listChanged: true } } },
    );
    server.setRequestHandler('tools/list', ({ params }) => {
      this.lists++;
      this.#waiters.check();
      const { pageSize = Infinity } = this.#options;
      const from = Number(params?.cursor ?? 0);
      const tools = this.#tools.slice(from, from + pageSize).map(({ definition }) => definition);
      const next = from + pageSize;
      return { tools, ...(next < this.#tools.length && { nextCursor: String(next) }) } as never;
    });
    server.setRequestHandler('tools/call', async ({ params }, context) => {
      this.calls.push({ name: params.name, signal: context.mcpReq.signal });
      this.#waiters.check();
      context.mcpReq.signal.addEventListener('abort', () => this.#waiters.check());
      const found = this.#tools.find(({ definition }) => definition.name === params.name);
      return (await found?.run?.(params.arguments ?? {}, context)) as never;
    });
    return server;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = incoming;
    this.requests.push({ method, headers });
    this.#waiters.check();
    const gone = new AbortController();
    outgoing.once('close', () => gone.abort());
    const request = new Request(this.url, {
      method,
      headers: headers as Record<string, string>,
      signal: gone.signal,
      ...(method === 'POST' && { body: Readable.toWeb(incoming) as ReadableStream, duplex: 'half' }),
    } as RequestInit);
    const response = await (this.#modern ? this.#modern.fetch(request) : this.#legacy(request));
    outgoing.writeHead(response.status, Object.fromEntries(response.headers));
    outgoing.flushHeaders();
    if (!response.body) return void outgoing.end();
    Readable.fromWeb(response.body as never)
      .on('error', () => outgoing.destroy())
      .pipe(outgoing);
    outgoing.once('close', () => void response.body?.cancel().catch(() => {}));
  }

  async #legacy(request: Request): Promise<Response> {
    const id = request.headers.get('mcp-session-id');
    const known = id === null ? undefined : this.sessions.get(id);
    if (known) return known.transport.handleRequest(request);
    const parsedBody = request.method === 'POST' ? await request.json().catch(() => undefined) : undefined;
    if (!isInitializeRequest(parsedBody)) return new Response('no such session', { status: id ? 404 : 400 });
    const server = this.#server();
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      keepAliveMs: 0,
      onsessioninitialized: (session) => void this.sessions.set(session, { transport, server }),
      onsessionclosed: (session) => void this.sessions.delete(session),
    });
    await server.connect(transport);
    return transport.handleRequest(request, { parsedBody });
  }
}
