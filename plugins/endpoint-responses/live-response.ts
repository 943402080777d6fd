import { AnswerReader, type Run } from '#sdk/dialect';
import type { Item } from './items.js';
import { ResponseEvents } from './response-events.js';
import type { ResponseHead } from './response-object.js';

/** A response whose log can still be read. */
export interface LiveResponse {
  readonly head: ResponseHead;
  readonly run: Run;
  /** Whose it is, as stores know it. */
  readonly owner: string;
  /** The input items, with ids. */
  readonly input: readonly object[];
  /** All items up to its answer: those of the responses before it as well. */
  readonly items: readonly Item[];
  /** It was deleted, and is not found any more. */
  isDeleted?: boolean;
}

/** The response as far as its log goes. */
export function currentResponse(live: LiveResponse): Readonly<Record<string, unknown>> {
  const events = new ResponseEvents(live.head);
  const answer = new AnswerReader(events, live.run.reply, live.run.asked);
  const reader = live.run.reply.readPieces({ merge: true });
  // Not beyond its end: this is no reader that the reply was meant for.
  while (!events.isOver) {
    const entries = reader.take();
    if (!entries?.length) break;
    answer.read(entries);
  }
  void reader.return();
  return events.response;
}
