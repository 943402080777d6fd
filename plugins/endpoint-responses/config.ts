import { milliseconds } from '#sdk';
import { dialectConfig } from '#sdk/dialect';
import { z } from '#zod';

export const config = dialectConfig.extend({
  /** Size of a frame to the WebSocket. */
  frameLimitBytes: z
    .int()
    .min(1)
    .default(32 * 1024 * 1024),
  /** Age at which a WebSocket is asked to connect again, with `websocket_connection_limit_reached`. */
  connectionAgeMs: milliseconds.default(60 * 60_000),
  /** Frames per second from one WebSocket, with bursts of ten times as many; above that it is closed with 1008. */
  maxFramesPerSecond: z.int().min(1).default(100),
  /** Consecutive frames that are not JSON before a WebSocket is closed with 4400. */
  maxBadFrames: z.int().min(1).default(10),
  /** Characters of responses that a WebSocket remembers for `previous_response_id` with `store: false`. */
  connectionMemoryChars: z.int().min(1).default(8_000_000),
  /** Responses that are kept in the store; beyond that the oldest ones leave, so that conversations keep their room. */
  maxStored: z.int().min(1).default(5000),
  /** Responses that follow each other by `previous_response_id`. */
  maxChain: z.int().min(1).default(1000),
});

export type Config = z.infer<typeof config>;

/** The keys that are neither those of the store nor of its endpoint. */
export const liveKeys = [
  'replyTimeoutMs',
  'bodyLimitBytes',
  'holdHeadersMs',
  'heartbeatMs',
  'connectionAgeMs',
  'maxFramesPerSecond',
  'maxBadFrames',
  'connectionMemoryChars',
  'maxChain',
] as const satisfies readonly (keyof Config)[];
