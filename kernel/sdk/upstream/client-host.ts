const hostname = /^(\[[\da-f:.]+\]|(?!\d+$)[a-z\d_-]([a-z\d._-]*[a-z\d_-])?\.?)$/i;

/** A setting without surrounding blanks and quotes. */
export function unquoted(setting: string): string {
  return setting
    .trim()
    .replace(/^["']+|["']+$/g, '')
    .trim();
}

/** Replaces a wildcard address, such as 0.0.0.0, with the loopback address. */
export function toClientHost(url: URL): URL {
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}

/** Whether a URL is valid for a model server. One with a password is not: error texts would show it. */
export function canBeAsked({ protocol, username, password, hostname: host, port }: URL): boolean {
  return (
    /^https?:$/.test(protocol) && username === '' && password === '' && hostname.test(host) && port !== '0'
  );
}
