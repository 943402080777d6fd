import { readdirSync, readFileSync } from 'node:fs';
import type { Logger } from '../../logger.js';
import { networkOf } from './address.js';
import type { TransportConfig } from './config.js';
import { TrustedProxies } from './trusted-proxies.js';

const censusMs = 1000;
const logMs = 10_000;

/** The connections of a native layer. */
export interface TcpCounts {
  /** Number of open WebSockets. */
  webSockets(): number;
  /** Addresses of all connections other than WebSockets; undefined where they are unknown. */
  addresses(): Iterable<string> | undefined;
}

/** The response to a connection above the limit. */
export const busyAnswer =
  'HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n';

/**
 * Limits TCP connections other than WebSockets, in total and per address. Counts per address only once there are enough
 * connections for one address to have too many, and then from a periodic census.
 */
export class TcpLimit {
  readonly #config: TransportConfig;
  readonly #logger: Logger;
  readonly #counts: TcpCounts;
  #proxies = new TrustedProxies([]);
  /** The list that they were made of. */
  #trusted: readonly string[] = [];
  #descriptors = Number.POSITIVE_INFINITY;
  #open = 0;
  #byNetwork = new Map<string, number>();
  #countedAtMs = Number.NEGATIVE_INFINITY;
  #refused = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(config: TransportConfig, logger: Logger, counts: TcpCounts) {
    this.#config = config;
    this.#logger = logger;
    this.#counts = counts;
  }

  /** Reads the number of free descriptors. A quarter stays free for other uses, because accepting without one would spin. */
  measure(): void {
    this.#descriptors = Math.max(1, Math.floor(freeDescriptors() * 0.75));
  }

  /** Counts a connection; false where it is above the limit. */
  enter(remoteAddress: () => string): boolean {
    const { maxHttpConnections, maxHttpConnectionsPerAddress } = this.#config;
    const limit = Math.min(maxHttpConnections, this.#descriptors - this.#counts.webSockets());
    // Where descriptors are scarce, the limit per address shrinks in proportion.
    const share = Math.min(1, maxHttpConnectionsPerAddress / maxHttpConnections);
    const limitPerAddress = Math.min(maxHttpConnectionsPerAddress, Math.max(1, Math.floor(limit * share)));
    if (
      this.#open >= limit ||
      (this.#open >= limitPerAddress && !this.#enterFrom(remoteAddress(), limitPerAddress))
    ) {
      this.#refuse(limit, limitPerAddress);
      return false;
    }
    this.#open++;
    return true;
  }

  leave(): void {
    this.#open--;
  }

  #isTrusted(address: string): boolean {
    const { trustedProxies } = this.#config;
    if (trustedProxies !== this.#trusted) this.#proxies = new TrustedProxies(trustedProxies);
    this.#trusted = trustedProxies;
    return this.#proxies.has(address);
  }

  #enterFrom(remoteAddress: string, limit: number): boolean {
    // A proxy's connections belong to many clients.
    if (this.#isTrusted(remoteAddress)) return true;
    if (performance.now() - this.#countedAtMs >= censusMs) this.#count();
    const network = networkOf(remoteAddress);
    const open = this.#byNetwork.get(network) ?? 0;
    if (open >= limit) return false;
    this.#byNetwork.set(network, open + 1);
    return true;
  }

  #count(): void {
    this.#byNetwork = new Map();
    for (const address of this.#counts.addresses() ?? []) {
      const network = networkOf(address);
      this.#byNetwork.set(network, (this.#byNetwork.get(network) ?? 0) + 1);
    }
    this.#countedAtMs = performance.now();
  }

  #refuse(limit: number, limitPerAddress: number): void {
    this.#refused++;
    if (performance.now() - this.#loggedAtMs < logMs) return;
    this.#loggedAtMs = performance.now();
    this.#logger.warn(
      { refused: this.#refused, open: this.#open, limit, limitPerAddress },
      'too many TCP connections: new ones are refused',
    );
    this.#refused = 0;
  }
}

/** Number of free descriptors; Infinity where the system does not say. */
function freeDescriptors(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft) - readdirSync('/proc/self/fd').length;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
