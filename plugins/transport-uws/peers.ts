import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { plainAddress } from '#sdk/http';

const established = '01';

/**
 * Peer addresses of all connections to a port, from /proc, because uWebSockets does not say which connection has closed.
 * Where other processes share the port, those of this one.
 */
export function peersOf(port: number, isShared = false): string[] | undefined {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  try {
    const own = isShared ? ownSockets() : undefined;
    return ['/proc/self/net/tcp', '/proc/self/net/tcp6']
      .flatMap((file) => readFileSync(file, 'latin1').split('\n').slice(1))
      .map((line) => line.trim().split(/\s+/))
      .filter(
        ([, local, , state, , , , , , inode = '0']) =>
          local?.endsWith(suffix) && state === established && inode !== '0' && (own?.has(inode) ?? true),
      )
      .map(([, , remote = '']) => addressOf(remote.slice(0, remote.indexOf(':'))));
  } catch {
    return undefined;
  }
}

/** An address in hexadecimal, each 32 bits in machine byte order. */
function addressOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex').swap32();
  if (bytes.length === 4) return bytes.join('.');
  return plainAddress(bytes.toString('hex').replace(/(....)(?!$)/g, '$1:'));
}

/** The inodes of all sockets of this process. */
function ownSockets(): ReadonlySet<string> {
  const folder = '/proc/self/fd';
  const inodes = readdirSync(folder).map((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`${folder}/${name}`))?.[1];
    } catch {
      return undefined; // That of the listing itself, which is closed.
    }
  });
  return new Set(inodes.filter((inode) => inode !== undefined));
}
