import type { Undo } from '../scope.js';
import { createToken } from '../services.js';

/** What `GET /` tells of this server. */
export interface Overview {
  /** Adds an entry to `endpoints`: `add('chat', '/chat')`. */
  add(name: string, path: string): Undo;
}

/** Provided by whoever answers `GET /`. */
export const Overview = createToken<Overview>('overview');
