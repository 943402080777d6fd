import { z } from '#zod';
import { milliseconds, seconds } from '../milliseconds.js';
import { nameOf } from './allowed-hosts.js';
import type { SizeLimit } from './collected.js';
import { whyNoOrigin } from './origin.js';
import { basePathOf } from './target.js';
import { whyNoNetwork } from './trusted-proxies.js';

const bytes = z.int().min(1);

/** The config of every transport, so that they are interchangeable. */
export const transportConfig = z.strictObject({
  /** The address to listen on. */
  host: z.string().min(1).default('0.0.0.0'),
  /** 0 takes any free one. */
  port: z.int().min(0).max(65535).default(9797),
  /** Serves https and wss: `{ certFile, keyFile }`, files in PEM, relative to the working directory. They are read again on SIGHUP. */
  tls: z.strictObject({ certFile: z.string().min(1), keyFile: z.string().min(1) }).optional(),
  /** Concurrent WebSockets; the next one is closed with 1013. */
  maxConnections: z.int().min(1).default(1000),
  /** The same limit per address, or per /64 of IPv6; connections through trusted proxies count for their client. That of `maxConnections` when absent. */
  maxConnectionsPerAddress: z.int().min(1).optional(),
  /** Concurrent TCP connections other than WebSockets, including idle ones; the next one is answered 503. Fewer where file descriptors are scarce. */
  maxHttpConnections: z.int().min(1).default(10_000),
  /** The same limit per address, or per /64 of IPv6; connections of trusted proxies are not counted. */
  maxHttpConnectionsPerAddress: z.int().min(1).default(5000),
  /** Size of a request body, before and after decompression, where its route sets no other limit. */
  bodyLimitBytes: bytes.default(1024 * 1024),
  /** Size of all bodies that are being received or wait to be parsed; the next one is answered 429. */
  bodiesLimitBytes: bytes.default(256 * 1024 * 1024),
  /** Size of a WebSocket frame, where its endpoint sets no other limit. Up to four times as much, but at most 4 MiB more, only the frame is refused. */
  frameLimitBytes: bytes.default(64 * 1024),
  /** Unsent bytes of one connection before it is closed with 4429. */
  backlogLimitBytes: bytes.default(1024 * 1024),
  /** Unsent bytes above which `send` asks to wait. */
  highWaterMarkBytes: bytes.default(64 * 1024),
  /** How long a client may read nothing while bytes wait for it. */
  stallTimeoutMs: milliseconds.default(30_000),
  /** How long a handler may take to begin its response, unless its route sets another limit. */
  requestTimeoutMs: milliseconds.default(30_000),
  /** How long a stop waits for closing handshakes and for running responses. */
  closeTimeoutMs: milliseconds.default(1000),
  /** How long a WebSocket without credentials may take to send its `auth` frame, and one whose credentials have expired newer ones. */
  authTimeoutMs: milliseconds.default(5000),
  /** Refuses to start on an address other than loopback while no access plugin is loaded. */
  requireAccess: z.boolean().default(false),
  /** Silence after which a WebSocket counts as dead; it is pinged earlier, often enough for proxies. The range is that of uWebSockets. */
  idleTimeoutS: seconds.min(8).max(960).default(40),
  /** Host names under which this server may be called, besides `localhost`, its addresses and the name of this machine; `*` for any. */
  allowedHosts: z
    .array(
      z.string().refine((name) => name === '*' || (nameOf(name) !== undefined && !name.includes(':')), {
        error: 'expected a name without scheme and port, like "chat.example.com", or "*"',
      }),
    )
    .default([]),
  /** Other origins whose pages may call this server: `https://chat.example.com`, or `*` for all. */
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
  /** Proxies whose `X-Forwarded-*` or `Forwarded` headers are trusted, as addresses or networks: `10.0.0.0/8`. */
  trustedProxies: z
    .array(
      z.string().superRefine((network, { addIssue }) => {
        const message = whyNoNetwork(network);
        if (message) addIssue({ code: 'custom', message });
      }),
    )
    .default([]),
  /** The path below which this server is reached, `/waggle`; a proxy may strip it or not. */
  basePath: z
    .string()
    .refine((path) => basePathOf(path) !== undefined, {
      error: 'expected a path of letters, digits, "-", "_", "." and "~", like "/waggle"',
    })
    .default(''),
});

/** The config of a transport, with defaults. */
export type TransportConfig = Readonly<z.output<typeof transportConfig>>;

/** The keys that a transport takes while it runs. The others belong to the port, or to the connections that it has. */
export const liveTransportKeys = [
  'maxConnections',
  'maxHttpConnections',
  'maxHttpConnectionsPerAddress',
  'bodyLimitBytes',
  'bodiesLimitBytes',
  'backlogLimitBytes',
  'highWaterMarkBytes',
  'requestTimeoutMs',
  'closeTimeoutMs',
  'authTimeoutMs',
  'allowedHosts',
  'allowedOrigins',
  'trustedProxies',
  'basePath',
] as const satisfies readonly (keyof TransportConfig)[];

/** The limit of a route or of an endpoint: that of its plugin, or of the transport. */
export function limitOf(
  key: 'bodyLimitBytes' | 'frameLimitBytes',
  ownBytes: number | undefined,
  plugin: string | undefined,
  config: TransportConfig,
): SizeLimit {
  if (ownBytes === undefined) return { bytes: config[key], key: `"${key}" of the transport` };
  return { bytes: ownBytes, key: plugin && `"${key}" of ${plugin}` };
}

/** Mistakes in the limits of a route or an endpoint. */
export function wrongLimits(limits: Readonly<Record<string, number | undefined>>): readonly string[] {
  return Object.entries(limits).flatMap(([key, bytes]) =>
    bytes === undefined || (Number.isSafeInteger(bytes) && bytes > 0)
      ? []
      : `${key}: expected an integer >= 1, got ${bytes}`,
  );
}

/** The size up to which only a too large frame is refused; a larger one ends its connection. */
export function frameHardLimitBytes(frameLimitBytes: number): number {
  return frameLimitBytes + Math.min(3 * frameLimitBytes, 4 * 1024 * 1024);
}
