import { setImmediate } from 'node:timers/promises';
import {
  type ChatMessage,
  type ConversationKey,
  type SearchHit,
  type SearchOptions,
  WaggleError,
} from '#kernel';
import { excerptOf, hasWords, queryWords } from '#sdk';

/** Takes a few milliseconds; then others have their turn. */
const charsAtOnce = 50_000;
const maxWaiting = 100;
const retryAfterMs = 1000;

interface Searched {
  readonly key: ConversationKey;
  readonly title: string;
  readonly renamed: number | undefined;
  readonly messages: readonly ChatMessage[];
  readonly numbers: readonly number[];
}

/** Searches by reading every message, one search at a time and in small steps. */
export class MessageScan {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** The newest hits first, titles last. @throws QUEUE_FULL */
  async search(conversations: readonly Searched[], options: SearchOptions): Promise<readonly SearchHit[]> {
    if (this.#waiting >= maxWaiting)
      throw new WaggleError('QUEUE_FULL', { limit: maxWaiting, what: 'searches waiting', retryAfterMs });
    this.#waiting++;
    const search = this.#last.then(() => hitsIn(conversations, options));
    this.#last = search.catch(() => {});
    try {
      return await search;
    } finally {
      this.#waiting--;
    }
  }
}

async function hitsIn(
  conversations: readonly Searched[],
  { text, limit, before = Number.POSITIVE_INFINITY }: SearchOptions,
): Promise<readonly SearchHit[]> {
  const query = queryWords(text);
  if (query.length === 0) return [];
  const hits: SearchHit[] = [];
  const isNeeded = (number: number) =>
    number < before && (hits.length < limit || number > (hits.at(-1) as SearchHit).number);
  const add = (hit: SearchHit) => {
    const place = hits.findIndex(({ number }) => number < hit.number);
    hits.splice(place < 0 ? hits.length : place, 0, hit);
    if (hits.length > limit) hits.pop();
  };
  let chars = 0;
  // With the newest conversations first, most others need not be read.
  const newestFirst = [...conversations].sort((a, b) => (b.numbers.at(-1) ?? 0) - (a.numbers.at(-1) ?? 0));
  for (const { key, title, renamed, messages, numbers } of newestFirst) {
    const { conversationId } = key;
    const found = [...messages.entries()].filter(([index]) => isNeeded(numbers[index] as number));
    const numbersNow = [...numbers];
    for (const [index, { role, content, at }] of found.reverse()) {
      const number = numbersNow[index] as number;
      if (!isNeeded(number)) break;
      if (role !== 'user' && role !== 'assistant') continue;
      if (hasWords(content, query))
        add({
          ...{ conversationId, title, number, role, excerpt: excerptOf(content, query) },
          ...(at !== undefined && { at }),
        });
      chars += content.length;
      if (chars < charsAtOnce) continue;
      chars = 0;
      await setImmediate();
    }
    const number = -(renamed ?? 0);
    if (number < 0 && isNeeded(number) && hasWords(title, query))
      add({ conversationId, title, number, excerpt: title });
  }
  return hits;
}
