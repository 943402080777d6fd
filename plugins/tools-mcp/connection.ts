import type { CallToolResult, Client, JSONRPCMessage, Progress, Tool } from '@modelcontextprotocol/client';
import { deferred, version } from '#sdk';
import { Fault, faultOf } from './fault.js';
import type { Packages } from './packages.js';
import type { ToolArguments } from './tool-input.js';
import { type Listing, toolsOf } from './tool-pages.js';
import type { Wire, WireEvents } from './wire.js';

/** A connection to be made. */
export interface Opening {
  readonly packages: Packages;
  /** A server of the older era may end when it is asked for the newer one. */
  readonly isLegacy: boolean;
  readonly connectTimeoutMs: number;
  readonly maxTools: number;
  wire(events: WireEvents): Wire;
  /** Errors that no request gets. */
  noticed(error: Error): void;
}

/** Options of a call. */
export interface CallOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  progress(progress: Progress): void;
}

/** One connection to one server, from the handshake to its loss. */
export class Connection {
  readonly #client: Client;
  readonly #wire: Wire;
  readonly #opening: Opening;
  readonly #lost = deferred<string>();
  readonly #closed = deferred();
  #isLost = false;
  #onLost = () => {};
  #onListChanged = () => {};
  #calls = 0;
  #isRetired = false;
  #closing: Promise<void> | undefined;
  /** Names of tools that are none. */
  #invalid: string[] = [];

  private constructor(opening: Opening) {
    this.#opening = opening;
    const { client } = opening.packages;
    this.#client = new client.Client(
      { name: 'waggle', version },
      { versionNegotiation: this.#negotiation(), inputRequired: { autoFulfill: false } },
    );
    this.#client.onerror = opening.noticed;
    this.#client.onclose = () => this.lose('the connection ended');
    this.#wire = opening.wire({
      received: (message) => this.#checked(message),
      lost: (why) => this.lose(why),
    });
  }

  /** @throws Fault */
  static async open(opening: Opening, signal: AbortSignal): Promise<Connection> {
    const connection = new Connection(opening);
    const end = () => void connection.close();
    signal.addEventListener('abort', end, { once: true });
    try {
      signal.throwIfAborted();
      const timeout = opening.connectTimeoutMs;
      await connection.#client.connect(connection.#wire, { timeout });
      await connection.#listen(timeout);
      return connection;
    } catch (error) {
      await connection.close();
      throw faultOf(error);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  /** Resolves with the reason when no further call will be answered. */
  get lost(): Promise<string> {
    return this.#lost.promise;
  }

  /** Resolves when nothing of it is left. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get isLegacy(): boolean {
    return this.#client.getProtocolEra() !== 'modern';
  }

  /** Declares it lost. Calls under way may still be answered. */
  lose(why: string): void {
    this.#lost.resolve(why);
    if (this.#isLost) return;
    this.#isLost = true;
    this.#onLost();
  }

  /** Calls back when it is lost, before anybody else can use it. */
  onLost(listener: () => void): void {
    this.#onLost = listener;
    if (this.#isLost) listener();
  }

  onListChanged(listener: () => void): void {
    this.#onListChanged = listener;
  }

  /** All tools, page by page. @throws Fault */
  async tools(signal: AbortSignal): Promise<Listing> {
    if (!this.#client.getServerCapabilities()?.tools) return { tools: [], invalid: [], isCut: false };
    this.#invalid = [];
    const { connectTimeoutMs: timeout, maxTools } = this.#opening;
    const page = (cursor: string | undefined) =>
      this.#client.request(
        { method: 'tools/list', ...(cursor !== undefined && { params: { cursor } }) },
        { timeout, signal },
      );
    try {
      const { tools, isCut } = await toolsOf(page, maxTools);
      return { tools, isCut, invalid: this.#invalid };
    } catch (error) {
      throw faultOf(error, this.#hasSession);
    }
  }

  /** @throws Fault */
  async call(tool: Tool, args: ToolArguments, options: CallOptions): Promise<CallToolResult> {
    const { signal, timeoutMs: timeout, progress: onprogress } = options;
    this.#calls++;
    try {
      // Without its output schema: models read what came, whether it matches or not.
      const { outputSchema: _, ...toolDefinition } = tool;
      return await this.#client.callTool(
        { name: tool.name, arguments: { ...args } },
        { signal, timeout, onprogress, toolDefinition },
      );
    } catch (error) {
      throw faultOf(error, this.#hasSession);
    } finally {
      this.#calls--;
      if (this.#isRetired && this.#calls === 0) void this.close();
    }
  }

  /** Closes it once its calls have ended. */
  retire(): void {
    this.#isRetired = true;
    if (this.#calls === 0) void this.close();
  }

  /** Resolves when nothing of it is left. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.lose('it was closed');
    await this.#wire.close();
    // Calls that still wait fail.
    await this.#client.close();
    this.#closed.resolve();
  }

  get #hasSession(): boolean {
    return this.#wire.sessionId !== undefined;
  }

  #negotiation() {
    const { isLegacy, connectTimeoutMs } = this.#opening;
    // A server on a pipe that does not know the question may be silent.
    return isLegacy
      ? ({ mode: 'legacy' } as const)
      : ({ mode: 'auto', probe: { timeoutMs: Math.ceil(connectTimeoutMs / 2) } } as const);
  }

  /** Asks for news of the list. A server of the older era sends them unasked. */
  async #listen(timeout: number): Promise<void> {
    const changed = () => this.#onListChanged();
    this.#client.setNotificationHandler('notifications/tools/list_changed', changed);
    if (this.isLegacy || !this.#client.getServerCapabilities()?.tools?.listChanged) return;
    try {
      const { closed } = await this.#client.listen({ toolsListChanged: true }, { timeout });
      closed.then((cause) => {
        if (cause !== 'local') this.lose('the stream of its notifications ended');
      });
    } catch (error) {
      // It has no room for another listener, say: the tools work all the same.
      const fault = faultOf(error);
      if (fault.kind !== 'failed') throw fault;
      this.#opening.noticed(fault);
    }
  }

  /** Takes tools out of a page that are none: the package would refuse the whole page. */
  #checked(message: JSONRPCMessage): JSONRPCMessage {
    if (!('result' in message)) return message;
    const { tools } = message.result as { readonly tools?: unknown };
    if (!Array.isArray(tools)) return message;
    const { isSpecType } = this.#opening.packages.client;
    const good = tools.filter((tool) => isSpecType.Tool(tool));
    if (good.length === tools.length) return message;
    for (const tool of tools)
      if (!isSpecType.Tool(tool)) this.#invalid.push(String(tool?.name).slice(0, 128));
    return { ...message, result: { ...message.result, tools: good } };
  }
}

/** Whether a process ended because it was asked for the newer era. */
export function isTooOld(error: unknown): boolean {
  const { cause } = (error instanceof Fault ? error : {}) as { readonly cause?: { readonly code?: unknown } };
  return cause?.code === 'ERA_NEGOTIATION_FAILED';
}
