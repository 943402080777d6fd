/** A peer's address as people write it: IPv6 shortened, IPv4 never in its IPv6 form. */
export function plainAddress(address: string): string {
  if (!address.includes(':')) return address;
  const [bare = ''] = address.split('%');
  if (!URL.canParse(`http://[${bare}]`)) return address;
  const short = new URL(`http://[${bare}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(short);
  if (!mapped) return short;
  const bytes = [mapped[1], mapped[2]].map((half) => Number.parseInt(half as string, 16));
  return bytes.map((half) => `${half >> 8}.${half & 255}`).join('.');
}

/** What one peer is free to call from: a plain address, of IPv6 its first half. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = ''] = address.split('::');
  return [...head.split(':'), '', '', ''].slice(0, 4).join(':');
}
