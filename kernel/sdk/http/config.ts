import { z } from '#zod';
import { milliseconds, seconds } from '../milliseconds.js';
import { nameOf } from './allowed-hosts.js';
import { whyNoOrigin } from './origin.js';
import { basePathOf } from './target.js';
import { whyNoNetwork } from './trusted-proxies.js';

const bytes = z.int().min(1);

/** The config of every transport, so that one can take another's place. */
export const transportConfig = z.strictObject({
  host: z.string().min(1).default('0.0.0.0'),
  /** 0 takes any free one. */
  port: z.int().min(0).max(65535).default(9797),
  /** WebSockets at once; the next one is closed with 1013. */
  maxConnections: z.int().min(1).default(1000),
  /** TCP connections at once that are no WebSockets, idle ones included; the next one is answered 503. Fewer where descriptors are few. */
  maxHttpConnections: z.int().min(1).default(10_000),
  /** The same from one address, of IPv6 from one /64; those of trusted proxies are not counted. */
  maxHttpConnectionsPerAddress: z.int().min(1).default(5000),
  bodyLimitBytes: bytes.default(1024 * 1024),
  frameLimitBytes: bytes.default(64 * 1024),
  /** What one connection may have unsent before it is closed with 4429. */
  backlogLimitBytes: bytes.default(1024 * 1024),
  /** Unsent bytes from which on `send` asks to wait. */
  highWaterMarkBytes: bytes.default(64 * 1024),
  /** How long a reader may take nothing of what waits for it. */
  stallTimeoutMs: milliseconds.default(30_000),
  /** How long a handler may take to begin its answer, where its route says nothing else. */
  requestTimeoutMs: milliseconds.default(30_000),
  /** How long a stop waits for closing handshakes and for answers under way. */
  closeTimeoutMs: milliseconds.default(1000),
  /** Silence after which a WebSocket counts as dead; it is pinged before, soon enough for proxies. uWebSockets takes no other range. */
  idleTimeoutS: seconds.min(8).max(960).default(40),
  /** Names by which this server may be called, besides `localhost`, its addresses and this machine's own name; `*` for any. */
  allowedHosts: z
    .array(
      z.string().refine((name) => name === '*' || (nameOf(name) !== undefined && !name.includes(':')), {
        error: 'expected a name without scheme and port, like "chat.example.com", or "*"',
      }),
    )
    .default([]),
  /** Pages of other hosts that may call: `https://chat.example.com`, or `*` for all. */
  allowedOrigins: z
    .array(
      z
        .string()
        .min(1)
        .superRefine((origin, { addIssue }) => {
          const message = whyNoOrigin(origin);
          if (message) addIssue({ code: 'custom', message });
        }),
    )
    .default([]),
  /** Proxies that tell who asks and what was called, in `X-Forwarded-*` or `Forwarded`, as addresses or networks: `10.0.0.0/8`. */
  trustedProxies: z
    .array(
      z.string().superRefine((network, { addIssue }) => {
        const message = whyNoNetwork(network);
        if (message) addIssue({ code: 'custom', message });
      }),
    )
    .default([]),
  /** The path below which this server is reached, `/waggle`; a proxy may cut it off or not. */
  basePath: z
    .string()
    .refine((path) => basePathOf(path) !== undefined, {
      error: 'expected a path of letters, digits, "-", "_", "." and "~", like "/waggle"',
    })
    .default(''),
});

/** The config of a transport with its defaults filled in. */
export type TransportConfig = Readonly<z.output<typeof transportConfig>>;

/** Up to here a frame that is too large is refused alone; a larger one ends its connection. */
export function frameHardLimitBytes({ frameLimitBytes }: TransportConfig): number {
  return 4 * frameLimitBytes;
}
