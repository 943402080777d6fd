import { z } from '#zod';

/** Schema of `upstream` in a config: sockets of its own where the URL is `http:`, or `node:http` in any case. */
export const upstreamWay = z.enum(['auto', 'node']);

/** The HTTP client of an agent. */
export type UpstreamWay = z.infer<typeof upstreamWay>;
