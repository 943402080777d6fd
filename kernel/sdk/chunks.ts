import { randomBytes } from 'node:crypto';

/** The result of one pull of an agent's stream as a list. */
export function chunksOf<T extends object>(batch: T | readonly T[]): readonly T[] {
  return Array.isArray(batch) ? batch : [batch as T];
}

/** An id for a tool call without one. */
export function newCallId(): string {
  return `call_${randomBytes(6).toString('hex')}`;
}
