import { createHash } from 'node:crypto';

/** The id of an answer: the same for all readers of its stream, without revealing the id of that. */
export function answerId(prefix: string, streamId: string): string {
  return `${prefix}${createHash('sha256').update(streamId).digest('base64url').slice(0, 24)}`;
}
