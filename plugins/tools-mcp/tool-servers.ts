import { isDeepStrictEqual } from 'node:util';
import { settleWithin } from '#sdk';
import type { ServerConfig } from './config.js';
import { loadPackages, type Packages } from './packages.js';
import type { ToolServer } from './tool-server.js';

interface Running {
  readonly settings: ServerConfig;
  readonly server: Pick<ToolServer, 'start' | 'close'>;
}

type Make = (name: string, settings: ServerConfig, packages: Packages) => Running['server'];

/** The servers of the config, as it changes. */
export class ToolServers {
  readonly #make: Make;
  readonly #running = new Map<string, Running>();
  #isClosed = false;

  constructor(make: Make) {
    this.#make = make;
  }

  /** Closes servers that are gone or have other settings, and starts those that are new; waits a while for their tools. */
  async become(servers: Readonly<Record<string, ServerConfig>>, waitMs: number): Promise<void> {
    const isWanted = ([name, { settings }]: readonly [string, Running]) =>
      Object.hasOwn(servers, name) && isDeepStrictEqual(settings, servers[name]);
    await this.#close([...this.#running].filter((each) => !isWanted(each)));
    const added = Object.entries(servers).filter(([name]) => !this.#running.has(name));
    if (added.length === 0) return;
    const packages = await loadPackages();
    if (this.#isClosed) return;
    const starting = added.map(([name, settings]) => {
      const server = this.#make(name, settings, packages);
      this.#running.set(name, { settings, server });
      return server.start();
    });
    await settleWithin(Promise.all(starting), waitMs);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#close([...this.#running]);
  }

  async #close(servers: readonly (readonly [string, Running])[]): Promise<void> {
    for (const [name] of servers) this.#running.delete(name);
    await Promise.all(servers.map(([, { server }]) => server.close()));
  }
}
