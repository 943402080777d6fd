import type { Logger } from '#kernel';
import type { Config, ServerConfig } from './config.js';
import { Connection, isTooOld } from './connection.js';
import { ErrorLines } from './error-lines.js';
import { Fault } from './fault.js';
import { HttpWire } from './http-wire.js';
import { Link } from './link.js';
import type { Packages } from './packages.js';
import { ProcessWire } from './process-wire.js';
import { Secrets } from './secrets.js';
import { callTool } from './tool-call.js';
import { type TaskSettings, ToolTasks } from './tool-tasks.js';
import type { Wire, WireEvents } from './wire.js';

/** One server of the config: its link, and the tasks that call its tools. */
export class ToolServer {
  readonly #server: ServerConfig;
  readonly #config: Config;
  readonly #packages: Packages;
  readonly #logger: Logger;
  readonly #secrets: Secrets;
  readonly #link: Link;
  readonly #tasks: ToolTasks;
  /** A process that has ended when it was asked for the newer era is not asked again. */
  #isLegacy = false;

  constructor(
    name: string,
    server: ServerConfig,
    config: Config,
    packages: Packages,
    logger: Logger,
    register: TaskSettings['register'],
  ) {
    this.#server = server;
    this.#config = config;
    this.#packages = packages;
    this.#logger = logger.child({ mcpServer: name });
    this.#secrets = new Secrets(server);
    const shared = { secrets: this.#secrets, logger: this.#logger, packages, server: name };
    this.#tasks = new ToolTasks({
      ...config,
      ...shared,
      tools: server.tools,
      approval: server.approval,
      register,
      run: (task, tool, args, call) =>
        callTool({ ...config, ...shared, link: this.#link }, task, tool, args, call),
    });
    this.#link = new Link({
      ...config,
      ...shared,
      connect: (signal) => this.#connect(signal),
      listed: (listing) => this.#tasks.sync(listing),
    });
  }

  /** Begins to connect. Resolves when the first try has ended. */
  start(): Promise<void> {
    return this.#link.start();
  }

  /** Resolves when no task, socket, process or timer is left. */
  async close(): Promise<void> {
    await this.#tasks.sync({ tools: [], invalid: [], isCut: false });
    await this.#link.close();
  }

  async #connect(signal: AbortSignal): Promise<Connection> {
    let wire: Wire | undefined;
    try {
      const opening = {
        packages: this.#packages,
        isLegacy: this.#isLegacy,
        connectTimeoutMs: this.#config.connectTimeoutMs,
        maxTools: this.#config.maxTools,
        wire: (events: WireEvents) => {
          wire = this.#wire(events);
          return wire;
        },
        noticed: (error: Error) =>
          this.#logger.debug({ why: this.#secrets.hide(error.message) }, 'the MCP server makes trouble'),
      };
      const connection = await Connection.open(opening, signal);
      if (this.#server.command !== undefined) this.#isLegacy = connection.isLegacy;
      return connection;
    } catch (error) {
      const ended = wire instanceof ProcessWire ? wire.ended : undefined;
      if (ended === undefined || signal.aborted) throw error;
      if (!this.#isLegacy && isTooOld(error)) {
        this.#isLegacy = true;
        return this.#connect(signal);
      }
      throw error instanceof Fault && error.kind === 'unsent'
        ? error
        : new Fault('lost', ended, { cause: error });
    }
  }

  #wire(events: WireEvents): Wire {
    const { messageLimitBytes, closeGraceMs } = this.#config;
    const { command, args = [], env = {}, cwd, url = '', headers = {} } = this.#server;
    if (command === undefined)
      return new HttpWire({ url, headers, messageLimitBytes }, this.#packages, events);
    const lines = new ErrorLines(this.#logger, this.#secrets);
    const target = { command, args, env, cwd, messageLimitBytes, closeGraceMs };
    return new ProcessWire(target, this.#packages, events, lines.add);
  }
}
