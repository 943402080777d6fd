import { createToken } from '../services.js';
import type { Undo } from './effect.js';

/** The `endpoints` that `GET /` lists. */
export interface Overview {
  /** `add('chat', '/chat')`. Ends with the plugin that called it. */
  add(name: string, path: string): Undo;
}

/** Provided by the plugin that serves `GET /`. */
export const Overview = createToken<Overview>('overview', { add: (name) => ({ kind: 'endpoint', name }) });
