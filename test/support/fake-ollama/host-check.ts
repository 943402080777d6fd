import { BlockList, isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';

const allowed = new BlockList();
allowed.addSubnet('127.0.0.0', 8);
allowed.addSubnet('10.0.0.0', 8);
allowed.addSubnet('172.16.0.0', 12);
allowed.addSubnet('192.168.0.0', 16);
allowed.addAddress('::1', 'ipv6');
allowed.addSubnet('fc00::', 7, 'ipv6');
for (const { address, family } of Object.values(networkInterfaces()).flatMap((list) => list ?? [])) {
  allowed.addAddress(address, family === 'IPv6' ? 'ipv6' : 'ipv4');
}

/** Says whether a server on loopback answers to this `Host` header. */
export function isAllowedHost(header: string | undefined): boolean {
  const host = (header ?? '')
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  if (host === '' || host === 'localhost' || host === hostname().toLowerCase()) return true;
  const family = isIP(host);
  if (family !== 0) return allowed.check(host, family === 6 ? 'ipv6' : 'ipv4');
  return /\.(localhost|local|internal)$/.test(host);
}
