import { BlockList, isIP } from 'node:net';
import type { Undo } from '../../contracts/effect.js';
import { plainAddress } from './address.js';
import type { RequestHead } from './request.js';
import { basePathOf } from './target.js';

/** Client and target of a request, as reported by the proxies in front. */
export interface Forwarded {
  readonly remoteAddress?: string | undefined;
  readonly host?: string | undefined;
  readonly protocol?: 'http' | 'https' | undefined;
  readonly basePath?: string | undefined;
}

type Lists = Readonly<Record<'for' | 'host' | 'proto' | 'prefix', readonly string[]>>;

const names = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-prefix'] as const;
const protocols: Readonly<Record<string, 'http' | 'https'>> = {
  ...{ http: 'http', ws: 'http' },
  ...{ https: 'https', wss: 'https' },
};

/** Trusted proxies. Forwarding headers of all others are ignored. */
export class TrustedProxies {
  readonly #lists = new Set<readonly string[]>();
  #networks = new BlockList();
  #isEmpty = true;

  constructor(networks: readonly string[]) {
    this.add(networks);
  }

  /** Trusts further ones until the undo. */
  add(networks: readonly string[]): Undo {
    const list = [...networks];
    this.#lists.add(list);
    this.#rebuild();
    return () => {
      if (this.#lists.delete(list)) this.#rebuild();
    };
  }

  has(address: string): boolean {
    return !this.#isEmpty && isIP(address) !== 0 && this.#networks.check(address, familyOf(address));
  }

  /** Forwarded values of a request; undefined where it does not come from a trusted proxy. */
  read({ headers, remoteAddress }: Pick<RequestHead, 'headers' | 'remoteAddress'>): Forwarded | undefined {
    if (this.#isEmpty) return undefined;
    const peer = plainAddress(remoteAddress);
    if (!this.has(peer)) return undefined;
    const lists = names.some((name) => headers.has(name)) ? xForwarded(headers) : forwarded(headers);
    const { client, hops } = this.#clientOf(peer, lists.for);
    // Each proxy appends or replaces; earlier values may be forged by the client.
    const host = lists.host.at(-Math.min(hops, lists.host.length));
    const proto = lists.proto.at(-Math.min(hops, lists.proto.length));
    const prefix = lists.prefix.slice(-hops).map(basePathOf);
    const isPrefix = prefix.length > 0 && !prefix.includes(undefined);
    return {
      remoteAddress: client,
      host: host || undefined,
      protocol: protocols[proto?.toLowerCase() ?? ''],
      basePath: isPrefix ? prefix.join('') : undefined,
    };
  }

  #rebuild(): void {
    this.#networks = new BlockList();
    const networks = [...this.#lists].flat();
    this.#isEmpty = networks.length === 0;
    for (const network of networks) {
      const [address, family, bits] = parseNetwork(network) as [string, Family, number];
      this.#networks.addSubnet(address, bits, family);
    }
  }

  /** The last address that is not a trusted proxy, and the number of proxies behind it. */
  #clientOf(peer: string, addresses: readonly string[]): { readonly client: string; readonly hops: number } {
    let client = peer;
    let hops = 0;
    while (this.has(client)) {
      hops++;
      const next = addressIn(addresses[addresses.length - hops] ?? '');
      if (next === undefined) break;
      client = next;
    }
    return { client, hops };
  }
}

/** Why a text is not an address or network in CIDR notation; undefined where it is one. */
export function whyNoNetwork(text: string): string | undefined {
  return parseNetwork(text)
    ? undefined
    : 'expected an address or a network, as 10.0.0.5, 10.0.0.0/8 or fd00::/8';
}

type Family = 'ipv4' | 'ipv6';

function familyOf(address: string): Family {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function parseNetwork(text: string): readonly [string, Family, number] | undefined {
  const [, address = '', bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)] as number;
  const length = bits === undefined ? most : Number(bits);
  return most > 0 && length <= most ? [address, familyOf(address), length] : undefined;
}

function xForwarded(headers: ReadonlyMap<string, string>): Lists {
  const [addresses = [], host = [], proto = [], prefix = []] = names.map((name) => {
    const value = headers.get(name);
    return value === undefined ? [] : value.split(',').map((each) => each.trim());
  });
  return { for: addresses, host, proto, prefix };
}

/** RFC 7239, which has no prefix. */
function forwarded(headers: ReadonlyMap<string, string>): Lists {
  const elements = (headers.get('forwarded')?.match(/(?:"[^"]*"|[^,"])+/g) ?? []).map(pairsOf);
  const list = (name: string) => elements.flatMap((pairs) => pairs.get(name) ?? []);
  return { for: list('for'), host: list('host'), proto: list('proto'), prefix: [] };
}

function pairsOf(element: string): ReadonlyMap<string, string> {
  const pairs = element.matchAll(/(?<![a-z])([a-z]+)=(?:"([^"]*)"|([^\s;,"]*))/gi);
  return new Map(
    [...pairs].map(([, name = '', quoted, token]) => [name.toLowerCase(), quoted ?? token ?? '']),
  );
}

/** `1.2.3.4`, `1.2.3.4:5678`, `2001:db8::1` or `[2001:db8::1]:5678`. */
function addressIn(text: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  const address = plainAddress(bare);
  return isIP(address) ? address : undefined;
}
