import { parseUrl } from '../parse-url.js';

/** A peer's address in its usual form: IPv6 shortened, IPv4 never mapped to IPv6. */
export function plainAddress(address: string): string {
  if (!address.includes(':')) return address;
  const [bare = ''] = address.split('%');
  const short = parseUrl(`http://[${bare}]`)?.hostname.slice(1, -1);
  if (short === undefined) return address;
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(short);
  if (!mapped) return short;
  const bytes = [mapped[1], mapped[2]].map((half) => Number.parseInt(half as string, 16));
  return bytes.map((half) => `${half >> 8}.${half & 255}`).join('.');
}

/** The network that one peer controls: its IPv4 address, or the /64 of its IPv6 address. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = ''] = address.split('::');
  return [...head.split(':'), '', '', ''].slice(0, 4).join(':');
}
