import { milliseconds } from '#sdk';
import { z } from '#zod';

const count = z.int().min(1);

export const config = z.strictObject({
  /** Agents that clients may ask, each with a tool `ask_<agent>`. */
  agents: z.array(z.string().min(1).max(128)).default([]),
  /** Sessions of clients of the older era. For a new one the one that is idle for longest makes room. */
  maxSessions: count.default(1000),
  /** Sessions of one user. In an open server only `maxSessions` counts. */
  maxSessionsPerUser: count.default(50),
  /** Time after which a session without a request or an open stream ends. */
  sessionIdleMs: milliseconds.default(30 * 60_000),
  /** Open streams of clients of the newer era that wait for news. */
  maxSubscriptions: count.default(1000),
  /** Size of a request body, before and after decompression. */
  bodyLimitBytes: count.default(4 * 1024 * 1024),
  /** Length of a result, which is cut there. */
  resultLimitChars: count.default(100_000),
  /** Interval of comments in an idle event stream, so that proxies keep it open. */
  heartbeatMs: milliseconds.default(15_000),
});

export type Config = z.infer<typeof config>;
