import type { Tool } from '@modelcontextprotocol/client';

/** The tools of a server. */
export interface Listing {
  readonly tools: readonly Tool[];
  /** Names of those that cannot be read. */
  readonly invalid: readonly string[];
  /** Whether there are more than the limit. */
  readonly isCut: boolean;
}

interface Page {
  readonly tools: readonly Tool[];
  readonly nextCursor?: string | undefined;
}

/** Reads pages until the last one, the limit, or one that was there before: a server may go round in circles. */
export async function toolsOf(
  page: (cursor: string | undefined) => Promise<Page>,
  limit: number,
): Promise<Omit<Listing, 'invalid'>> {
  const tools: Tool[] = [];
  const seen = new Set<string>();
  let cursor: string | undefined;
  do {
    const { tools: more, nextCursor } = await page(cursor);
    tools.push(...more);
    if (tools.length > limit) return { tools: tools.slice(0, limit), isCut: true };
    if (nextCursor !== undefined && (seen.has(nextCursor) || seen.size >= limit))
      return { tools, isCut: true };
    if (nextCursor !== undefined) seen.add(nextCursor);
    cursor = nextCursor;
  } while (cursor !== undefined);
  return { tools, isCut: false };
}
