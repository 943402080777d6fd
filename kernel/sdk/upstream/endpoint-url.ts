/** The URL of one endpoint below a base URL, whose query it keeps: `chat/completions`. */
export function endpointUrl(base: URL, endpoint: string): URL {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/$/, '')}/${endpoint}`;
  return url;
}
