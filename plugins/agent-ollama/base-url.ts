const defaultPort = 11434;

/** The URL that a host setting means: `gpu-box` is `http://gpu-box:11434`, and the address to listen on is one to ask. */
export function baseUrlOf(host: string): URL {
  const explicit = host.includes('://');
  const url = new URL(explicit ? host : `http://${host.startsWith(':') ? '127.0.0.1' : ''}${host}`);
  if (!explicit && !/:\d+(\/|$)/.test(host)) url.port = String(defaultPort);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}

/** Whether it is one. A URL with a password is refused: error texts would show it. */
export function isBaseUrl(host: string): boolean {
  try {
    const { protocol, username, password } = baseUrlOf(host);
    return /^https?:$/.test(protocol) && username === '' && password === '';
  } catch {
    return false;
  }
}
