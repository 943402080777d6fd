import { isIPv6 } from 'node:net';
import { canBeAsked, toClientHost, unquoted } from '#sdk/upstream';

const defaultPort = 11434;
const cloud = 'ollama.com';

/** The URL of a host setting, by the rules of Ollama's own client for `OLLAMA_HOST`: `gpu-box` is `http://gpu-box:11434`. */
export function baseUrlOf(setting: string): URL {
  const text = unquoted(setting);
  if (text.includes('://')) return toClientHost(new URL(text));
  if (text === cloud) return new URL(`https://${cloud}`);
  const [, host = '', path = ''] = /^([^/]*)(.*)$/s.exec(text) ?? [];
  // A bare number is an IPv4 address: `11434` is 0.0.44.170.
  if (/^\d+$/.test(host)) throw new TypeError('a port without a colon');
  const named = isIPv6(host) ? `[${host}]` : host === '' || host.startsWith(':') ? `127.0.0.1${host}` : host;
  const url = new URL(`http://${named}${path}`);
  if (!/:\d+$/.test(named)) url.port = String(defaultPort);
  return toClientHost(url);
}

export function isBaseUrl(setting: string): boolean {
  try {
    const url = baseUrlOf(setting);
    return canBeAsked(url) && url.search === '' && url.hash === '';
  } catch {
    return false;
  }
}
