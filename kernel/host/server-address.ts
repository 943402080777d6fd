/** The address of a server from any form: `localhost:9797`, a port alone, or the URL of a page of the server. */
export function serverAddress(url: string, kind: 'ws' | 'http'): URL {
  const [, scheme, rest = url] = /^([a-z][a-z\d+.-]*):\/\/(.*)$/is.exec(url) ?? [];
  if (scheme && !/^(ws|http)s?$/i.test(scheme))
    throw new Error('expected the address of a server, as localhost:9797');
  const host = /^:?\d+(\/|$)/.test(rest) ? `localhost:${rest.replace(':', '')}` : rest;
  const path = host.replace(/#.*$/, '').replace(/\/ui(\/inspector)?\/?$/, '');
  return new URL(`${kind}${/^(wss|https)$/i.test(scheme ?? '') ? 's' : ''}://${path}`);
}
