import { parseUrl } from '../parse-url.js';

/** A Redis server, as its URL names it. */
export interface RedisAddress {
  readonly host?: string;
  readonly port?: number;
  /** A Unix socket, in place of host and port. */
  readonly path?: string;
  readonly isSecure: boolean;
  readonly username?: string;
  readonly password?: string;
  readonly database: number;
  /** For people, without credentials. */
  readonly name: string;
}

const defaultPort = 6379;

/**
 * Reads `redis://user:password@host:6379/0`, `rediss://…` for TLS, and `unix:/path?db=0` or `redis+unix:/path`. Undefined for
 * anything else, such as a password with characters that end a password in a URL.
 */
export function parseRedisUrl(text: string): RedisAddress | undefined {
  const url = parseUrl(text);
  if (url?.hash !== '') return undefined;
  try {
    if (/^(redis\+)?unix:$/.test(url.protocol)) return socketAddress(url);
    return /^rediss?:$/.test(url.protocol) ? networkAddress(url) : undefined;
  } catch {
    return undefined; // a % that encodes nothing
  }
}

function networkAddress(url: URL): RedisAddress | undefined {
  const host = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? defaultPort : Number(url.port);
  const database = databaseOf(url.pathname.replace(/^\//, ''));
  if (host === '' || url.search !== '' || database === undefined || port === 0) return undefined;
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  return {
    host,
    port,
    isSecure: url.protocol === 'rediss:',
    ...(username && { username }),
    ...(password && { password }),
    database,
    name: `${url.hostname}:${port}`,
  };
}

function socketAddress(url: URL): RedisAddress | undefined {
  const path = decodeURIComponent(url.pathname);
  const database = databaseOf(url.searchParams.get('db') ?? '');
  const isAbsolute = /^\/[^/]/.test(path) && url.host === '' && url.username === '';
  if (!isAbsolute || database === undefined || /^\?(?!db=)/.test(url.search)) return undefined;
  return { path, isSecure: false, database, name: path };
}

function databaseOf(text: string): number | undefined {
  return /^\d{0,5}$/.test(text) ? Number(text) : undefined;
}
