import { messageOf } from '#kernel';
import { milliseconds, parseUrl } from '#sdk';
import { z } from '#zod';
import { checkSecret } from './signature.js';
import { eventNames } from './webhook-events.js';

const patterns = ['chat:*', 'task:*', ...eventNames] as const;

const secret = z.string().superRefine((value, context) => {
  try {
    checkSecret(value);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});

const endpoint = z
  .strictObject({
    url: z.string(),
    secret: z.union([secret, z.array(secret).min(1).max(5)]),
    events: z.array(z.enum(patterns)).min(1).default(['chat:finished', 'chat:failed', 'task:*']),
    allowPrivate: z.boolean().default(false),
  })
  .superRefine(({ url, allowPrivate }, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['url'], message });
    const { protocol = '', username, password } = parseUrl(url) ?? {};
    if (!/^https?:$/.test(protocol)) return issue('expected an http(s) URL');
    if (username || password)
      issue('expected no user name and password in it: receivers check the signature');
    if (protocol === 'http:' && !allowPrivate)
      issue('expected https; http is for receivers of your own network, with "allowPrivate"');
  });

export const config = z.strictObject({
  /**
   * Receivers by name: `url`; `secret`, or a list of them while it is changed; `events`, as `chat:finished` or `task:*`;
   * `allowPrivate` for one in a private network.
   */
  endpoints: z
    .record(z.string().regex(/^[\w.-]{1,64}$/, 'expected letters, digits, . _ -'), endpoint)
    .default({}),
  /** Messages of one endpoint that are not delivered yet, those that are tried again included; further ones are dropped. */
  queueLimit: z.int().min(1).default(1000),
  /** Requests to one endpoint at the same time. */
  concurrency: z.int().min(1).max(100).default(4),
  /** Time for one request. */
  timeoutMs: milliseconds.default(15_000),
  /** Tries after the first one. */
  maxRetries: z.int().min(0).max(100).default(8),
  /** The longest wait before the first retry; it doubles with each one. */
  retryBaseMs: milliseconds.default(2000),
  /** The longest wait before any retry. */
  retryMaxMs: milliseconds.default(10 * 60_000),
  /** Messages of one endpoint that were given up and are kept for `GET /webhooks`; the oldest go first. */
  maxDeadLetters: z.int().min(0).default(100),
});

export type Config = z.infer<typeof config>;
export type EndpointConfig = z.infer<typeof endpoint>;
