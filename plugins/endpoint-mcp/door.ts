import type { McpHttpHandler } from '@modelcontextprotocol/server';
import type { HttpRequest, HttpResponse, Logger } from '#kernel';
import { randomId } from '#sdk';
import type { Config } from './config.js';
import type { Offers } from './offers.js';
import { authOf, type Package, protocolServer } from './protocol-server.js';
import { Session, Sessions } from './sessions.js';
import type { Workshop } from './tool-calls.js';
import { sendWeb, webRequest } from './web-message.js';

/** The requests of both eras: the newer one has no sessions, the older one may have one. */
export class Door {
  readonly sessions: Sessions;
  readonly #config: Config;
  readonly #offers: Offers;
  readonly #workshop: Workshop;
  readonly #logger: Logger;
  #package: Promise<Package> | undefined;
  #modern: McpHttpHandler | undefined;
  #news: NodeJS.Immediate | undefined;

  constructor(config: Config, offers: Offers, workshop: Workshop, logger: Logger) {
    this.#config = config;
    this.#offers = offers;
    this.#workshop = workshop;
    this.#logger = logger;
    this.sessions = new Sessions(config);
  }

  /** Answers a request. Resolves when the response has ended. */
  async handle(request: HttpRequest, response: HttpResponse): Promise<void> {
    const parsedBody = request.method === 'POST' ? await request.json() : undefined;
    this.#package ??= import('@modelcontextprotocol/server');
    const mcp = await this.#package;
    const web = webRequest(request);
    await this.#answer(mcp, web, parsedBody, request, response);
  }

  /** Tells clients that the list of tools has changed, once for all changes of one moment. */
  changed(): void {
    this.#news ??= setImmediate(() => {
      this.#news = undefined;
      this.#modern?.notify.toolsChanged();
      for (const { server } of this.sessions) server.sendToolListChanged().catch(() => {});
    });
  }

  /** Ends streams, work and sessions. */
  async close(): Promise<void> {
    clearImmediate(this.#news);
    await this.#modern?.close();
    await this.sessions.close();
  }

  async #answer(
    mcp: Package,
    web: Request,
    parsedBody: unknown,
    request: HttpRequest,
    response: HttpResponse,
  ): Promise<void> {
    const body = parsedBody === undefined ? {} : { parsedBody };
    const options = { ...authOf(request.principal), ...body };
    if (!(await mcp.isLegacyRequest(web, parsedBody)))
      return sendWeb(await this.#handler(mcp).fetch(web, options), response);
    const userId = request.principal?.id;
    const id = request.header('mcp-session-id');
    if (id === undefined && request.method !== 'POST')
      return response.json(405, noSession, { allow: 'POST' });
    if (id === undefined && !mcp.isInitializeRequest(parsedBody)) {
      const stateless = mcp.legacyStatelessFallback(() => this.#server(mcp), this.#noticed);
      return sendWeb(await stateless(web, options), response);
    }
    const session = id === undefined ? await this.#begin(mcp, userId) : this.sessions.find(id, userId);
    if (!session) return response.json(404, unknownSession);
    await session.use(async () => sendWeb(await session.transport.handleRequest(web, options), response));
  }

  #handler(mcp: Package): McpHttpHandler {
    const { maxSubscriptions, heartbeatMs: keepAliveMs } = this.#config;
    this.#modern ??= mcp.createMcpHandler(() => this.#server(mcp), {
      legacy: 'reject',
      // A call that takes its time would be cut off by a proxy without heartbeats.
      responseMode: 'sse',
      onerror: this.#noticed,
      maxSubscriptions,
      keepAliveMs,
    });
    return this.#modern;
  }

  /** A session that begins with this request. @throws QUEUE_FULL */
  async #begin(mcp: Package, userId: string | undefined): Promise<Session> {
    this.sessions.makeRoom(userId);
    const server = this.#server(mcp);
    const transport = new mcp.WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomId,
      keepAliveMs: this.#config.heartbeatMs,
      onsessioninitialized: (id) => this.sessions.add(id, session),
      onsessionclosed: (id) => this.sessions.end(id),
    });
    const session = new Session(userId, server, transport);
    await server.connect(transport);
    return session;
  }

  #server(mcp: Package) {
    const server = protocolServer(mcp, this.#offers, this.#workshop);
    server.onerror = this.#noticed;
    return server;
  }

  readonly #noticed = (error: Error): void => {
    this.#logger.debug({ why: error.message.slice(0, 500) }, 'an MCP client makes a mistake, or has gone');
  };
}

const noSession = errorOf(-32000, 'Method not allowed: there is no session');
const unknownSession = errorOf(-32001, 'Session not found');

function errorOf(code: number, message: string) {
  return { jsonrpc: '2.0', error: { code, message }, id: null };
}
