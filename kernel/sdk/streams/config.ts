import { z } from '../../contracts/zod.js';
import { milliseconds, millisecondsOrNone } from '../milliseconds.js';

/** Config of plugins whose replies run in this process. */
export const streamsConfig = z.strictObject({
  /** Replies that run at the same time. */
  maxRunning: z.int().min(1).default(2000),
  /** Replies that may wait for their turn. */
  maxWaiting: z.int().min(0).default(1000),
  /** Messages of one conversation that may wait until those before them are answered. */
  maxWaitingPerConversation: z.int().min(0).default(8),
  /** Characters of one answer, thinking and tool calls included; a longer one is cut off with an error. */
  replyLimitChars: z.int().min(1).default(1_000_000),
  /** Time limit of one answer in all. */
  replyTimeoutMs: milliseconds.default(30 * 60_000),
  /** Time for an agent to stop after a cancel, before its reply ends without it. */
  cancelTimeoutMs: milliseconds.default(2000),
  /** Time for which a reply goes on without a reader. */
  disconnectGraceMs: millisecondsOrNone.default(60_000),
  /** Time for which an ended reply can still be read. */
  keepMs: milliseconds.default(5 * 60_000),
  /** Ended replies that are kept; the oldest go first. */
  maxKept: z.int().min(0).default(1000),
  /** Characters of all logs and of the requests that wait or run; ended replies make room for others. */
  totalLimitChars: z.int().min(1).default(128_000_000),
});

/** The config of replies that run in this process. */
export type StreamsConfig = z.infer<typeof streamsConfig>;
