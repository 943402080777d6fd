import { lookup as lookUp } from 'node:dns';
import { type Agent as HttpAgent, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isPublic } from './public-address.js';

/** One request. */
export interface Post {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly agent: HttpAgent;
  readonly signal: AbortSignal;
  readonly allowPrivate: boolean;
  /** The resolver; that of the system when absent. */
  readonly lookup?: LookupFunction | undefined;
}

/** More of an answer is not read. */
const answerLimitBytes = 64 * 1024;

/**
 * Sends a body and returns the status of the answer. The address that a name resolves to is checked where the connection takes
 * it from, so that no later answer of the name server counts. Redirects are not followed.
 * @throws for an address that is not public, and for every failure of the network
 */
export function post({
  url,
  headers,
  body,
  agent,
  signal,
  allowPrivate,
  lookup = lookUp,
}: Post): Promise<number> {
  return new Promise((resolve, reject) => {
    const host = url.hostname.replace(/^\[|\]$/g, '');
    // A literal address is not looked up.
    if (!allowPrivate && isIP(host) !== 0 && !isPublic(host)) return reject(notPublic());
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      agent,
      signal,
      lookup: allowPrivate ? lookup : publicOnly(lookup),
    });
    request.on('error', reject);
    request.on('response', (response) => {
      let bytes = 0;
      response.on('data', (part: Buffer) => {
        bytes += part.length;
        if (bytes > answerLimitBytes) response.destroy();
      });
      response.on('error', () => {});
      resolve(response.statusCode as number);
    });
    request.end(body);
  });
}

function publicOnly(lookup: LookupFunction): LookupFunction {
  return (hostname, options, callback) =>
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error) return callback(error, []);
      const all = addresses as readonly { readonly address: string; readonly family: number }[];
      const [first] = all;
      if (!first || !all.every(({ address }) => isPublic(address))) return callback(notPublic(), []);
      if (options.all) callback(null, [...all]);
      else callback(null, first.address, first.family);
    });
}

function notPublic(): Error {
  return new Error('its address is not public; "allowPrivate" of the endpoint allows it');
}
