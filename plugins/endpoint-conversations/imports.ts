import { type ChatMessage, type ConversationStore, messageOf, toClientError, WaggleError } from '#kernel';
import { expectValid, parseJson } from '#sdk';
import type { z } from '#zod';
import { exportLine, type importResult } from './docs.js';
import { shownMessage } from './shown-message.js';
import { storedMessage } from './stored-message.js';

interface Conversation {
  readonly id: string;
  /** The number of its first line. */
  readonly line: number;
  readonly title: string | undefined;
  readonly messages: ChatMessage[];
}

const maxConversations = 1000;

type Result = z.infer<typeof importResult>;

/** Imports into a store, one at a time for each user. */
export class Imports {
  readonly #store: ConversationStore;
  readonly #users = new Set<string>();

  constructor(store: ConversationStore) {
    this.#store = store;
  }

  /**
   * Stores conversations from lines of an export, each as a whole or not at all; one that has messages already is left as it
   * is. All lines are checked first. @throws INVALID_REQUEST with the number of the line, BUSY, errors of the store
   */
  async run(userId: string, lines: string, firstLine: number, signal: AbortSignal): Promise<Result> {
    if (this.#users.has(userId)) throw new WaggleError('BUSY', { limit: 1, what: 'import of a user' });
    this.#users.add(userId);
    try {
      const result: Result = { imported: [], skipped: [] };
      for (const each of await conversationsIn(lines, firstLine)) {
        // Nobody reads the result any more; the next try goes on here.
        if (signal.aborted) break;
        await this.#import(userId, each, result);
      }
      return result;
    } finally {
      this.#users.delete(userId);
    }
  }

  async #import(userId: string, { id, line, title, messages }: Conversation, result: Result): Promise<void> {
    const key = { userId, conversationId: id };
    const skip = (why: string) => result.skipped.push({ conversation_id: id, line, why });
    const stored = await this.#store.read(key);
    if (stored.length > 0) {
      const isThere = isPartOf(stored, messages);
      skip(isThere ? 'it is there already' : 'a conversation with other messages has this id');
      return;
    }
    try {
      await this.#store.append(key, messages);
    } catch (error) {
      if (!WaggleError.is(error, 'TOO_LARGE')) throw error;
      skip(error.message);
      return;
    }
    if (title) await this.#store.rename?.(key, title);
    result.imported.push({ conversation_id: id, messages: messages.length });
  }
}

/** Neighbouring lines of one id are one conversation. @throws INVALID_REQUEST */
async function conversationsIn(lines: string, firstLine: number): Promise<readonly Conversation[]> {
  const found: Conversation[] = [];
  let line = firstLine;
  for (const text of linesOf(lines)) {
    if (text.trim() !== '') {
      const { conversation_id: id, title, ...message } = await lineOf(text, line);
      let last = found.at(-1);
      if (last?.id !== id) {
        if (found.length === maxConversations) throw tooMany(line);
        last = { id, line, title, messages: [] };
        found.push(last);
      }
      last.messages.push(storedMessage(message));
    }
    line++;
  }
  return found;
}

function tooMany(line: number): WaggleError {
  const issue = `line ${line}: more than ${maxConversations} conversations; send them in several requests, as \`waggle import\` does`;
  return new WaggleError('INVALID_REQUEST', { issues: [issue] });
}

/** Without a list of all of them. */
function* linesOf(text: string): Iterable<string> {
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start);
    yield text.slice(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
  }
}

async function lineOf(text: string, line: number): Promise<z.infer<typeof exportLine>> {
  try {
    return await expectValid(exportLine, parseJson(text));
  } catch (error) {
    const { code, details } = toClientError(error);
    const issues =
      code === 'INVALID_REQUEST' ? (details as { issues: readonly string[] }).issues : [messageOf(error)];
    throw new WaggleError('INVALID_REQUEST', { issues: issues.map((issue) => `line ${line}: ${issue}`) });
  }
}

/** Whether one of the lists continues the other one, or has lost its oldest messages. */
function isPartOf(stored: readonly ChatMessage[], imported: readonly ChatMessage[]): boolean {
  const [theirs, ours] = [stored, imported].map((each) => each.map(textOf)) as [string[], string[]];
  const start = ours.indexOf(theirs[0] as string);
  if (start < 0) return false;
  const shared = Math.min(theirs.length, ours.length - start);
  return ours.slice(start, start + shared).every((text, index) => text === theirs[index]);
}

const textOf = (message: ChatMessage): string => JSON.stringify(shownMessage(message));
