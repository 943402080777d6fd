/** Why no browser ever sends this as its `Origin`, with what it would send; undefined where it may. */
export function whyNoOrigin(text: string): string | undefined {
  if (text === '*' || text === 'null') return undefined;
  const shape = 'an origin is scheme://host or scheme://host:port, or * for all';
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.protocol === 'file:' || !text.includes('://') || text.includes('*'))
    return `never matches: ${shape}`;
  // Pages of apps and extensions have schemes of their own, whose origin only the browser knows.
  const meant = url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
  return text === meant ? undefined : `never matches: ${shape}; write ${meant}`;
}
