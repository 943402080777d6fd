const hostname = /^(\[[\da-f:.]+\]|(?!\d+$)[a-z\d_-]([a-z\d._-]*[a-z\d_-])?\.?)$/i;

/** A setting as it was meant: without blanks and quotes around it. */
export function unquoted(setting: string): string {
  return setting
    .trim()
    .replace(/^["']+|["']+$/g, '')
    .trim();
}

/** An address to listen on as one to ask: that of this machine. */
export function toClientHost(url: URL): URL {
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url;
}

/** Whether a server may be asked there. A URL with a password is refused: error texts would show it. */
export function canBeAsked({ protocol, username, password, hostname: host, port }: URL): boolean {
  return (
    /^https?:$/.test(protocol) && username === '' && password === '' && hostname.test(host) && port !== '0'
  );
}
