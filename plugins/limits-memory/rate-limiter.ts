import { createRequire } from 'node:module';
import type { RateLimiterMemory as Limiter } from 'rate-limiter-flexible';

const require = createRequire(import.meta.url);

// The entry point loads the stores of a dozen databases, which would slow down the start.
export const RateLimiterMemory = require('rate-limiter-flexible/lib/RateLimiterMemory.js') as typeof Limiter;
export type RateLimiterMemory = Limiter;
