import { WaggleError } from '#kernel';

/** A summary as clients keep it: opaque to them, and no secret, because it is about their own conversation. */
export function compacted(summary: string): string {
  return Buffer.from(JSON.stringify({ summary })).toString('base64url');
}

/** @throws INVALID_REQUEST for a compaction of another server */
export function summaryIn(content: string): string {
  let cause: unknown;
  try {
    const { summary } = JSON.parse(Buffer.from(content, 'base64url').toString());
    if (typeof summary === 'string') return `Summary of the conversation before:\n\n${summary}`;
  } catch (error) {
    cause = error;
  }
  const issue = 'input: this compaction was not made here, and only the server that made it can read it';
  throw new WaggleError('INVALID_REQUEST', { issues: [issue] }, { cause });
}
