import { get as getHttp } from 'node:http';
import { get as getHttps } from 'node:https';

/** Limits of one download. */
export interface FetchLimits {
  readonly timeoutMs: number;
  readonly limitBytes: number;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Downloads a small text over a connection of its own. Follows no redirect. */
export async function fetchText(
  url: string,
  { timeoutMs, limitBytes, signal }: FetchLimits,
): Promise<string> {
  const get = url.startsWith('https:') ? getHttps : getHttp;
  const until = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  const response = await new Promise<import('node:http').IncomingMessage>((resolve, reject) => {
    get(url, { agent: false, signal: until, headers: { accept: 'application/json' } }, resolve).on(
      'error',
      reject,
    );
  });
  try {
    if (response.statusCode !== 200) throw new Error(`its server answered ${response.statusCode}`);
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > limitBytes) throw new Error(`it is larger than ${limitBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  } catch (error) {
    throw until.aborted && !signal.aborted ? new Error(`it took longer than ${timeoutMs} ms`) : error;
  } finally {
    response.destroy();
  }
}
