import type { Logprob, ToolCall } from '../../contracts/agent.js';
import type { Reply } from '../../contracts/stream.js';
import type { ClientErrorCode, WaggleError } from '../../errors.js';
import type { AnswerEnd, AnswerEvents } from './answer-events.js';
import { AnswerReader } from './answer-reader.js';

/** A part of an answer. */
export type AnswerItem =
  | { readonly type: 'text' | 'thinking'; readonly content: string }
  | { readonly type: 'call'; readonly call: ToolCall };

/** A complete answer. */
export interface Answer extends AnswerEnd {
  /** In the order of the answer; neighbours of one type are one. Calls that the agent ran itself are left out. */
  readonly items: readonly AnswerItem[];
  /** Of the tokens of all its text; empty unless asked for. */
  readonly logprobs: readonly Logprob[];
}

/** Reads an answer to its end. Undefined when `signal` aborts. @throws why the reply failed; `asked` is the requested agent */
export async function readWhole(
  reply: Reply,
  asked: string,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const parts = new AnswerParts();
  const failure = await readInto(parts, reply, asked, signal);
  if (failure) throw failure;
  return parts.answer;
}

/** Writes an answer to its end, or until `signal` aborts. Resolves with the error of a reply that has failed. */
export async function readInto(
  events: AnswerEvents,
  reply: Reply,
  asked: string,
  signal: AbortSignal,
): Promise<WaggleError<ClientErrorCode> | undefined> {
  const pieces = reply.readPieces();
  const leave = () => void pieces.return();
  signal.addEventListener('abort', leave, { once: true });
  if (signal.aborted) leave();
  const answer = new AnswerReader(events, reply, asked);
  try {
    for await (const entries of pieces) answer.read(entries);
  } finally {
    signal.removeEventListener('abort', leave);
  }
  return answer.failure;
}

/** All text of one type in an answer. */
export function textOf({ items }: Pick<Answer, 'items'>, type: 'text' | 'thinking'): string {
  return items.map((item) => (item.type === type ? item.content : '')).join('');
}

/** The tool calls of an answer, for the client to run. */
export function callsOf({ items }: Pick<Answer, 'items'>): readonly ToolCall[] {
  return items.flatMap((item) => (item.type === 'call' ? item.call : []));
}

/** Collects the parts of an answer. */
class AnswerParts implements AnswerEvents {
  readonly #items: AnswerItem[] = [];
  readonly #logprobs: Logprob[] = [];
  answer: Answer | undefined;
  #type: 'text' | 'thinking' | undefined;
  #content: string[] = [];

  begin(): void {}

  text(content: string): void {
    this.#add('text', content);
  }

  thinking(content: string): void {
    this.#add('thinking', content);
  }

  logprobs(logprobs: readonly Logprob[]): void {
    this.#logprobs.push(...logprobs);
  }

  call(): void {
    this.#close();
  }

  callPart(): void {}

  callEnd(_index: number, call: ToolCall): void {
    this.#items.push({ type: 'call', call });
  }

  end(end: AnswerEnd): void {
    this.#close();
    // Calls of an agent that went on afterwards were run by the agent itself: the client must not run them.
    const isForClient = end.reason === 'tool_calls' || end.reason === 'length';
    const items = isForClient ? this.#items : joinItems(this.#items.filter(({ type }) => type !== 'call'));
    this.answer = { ...end, items, logprobs: this.#logprobs };
  }

  fail(): void {}

  #add(type: 'text' | 'thinking', content: string): void {
    if (type !== this.#type) this.#close();
    this.#type = type;
    this.#content.push(content);
  }

  #close(): void {
    if (this.#type) this.#items.push({ type: this.#type, content: this.#content.join('') });
    this.#type = undefined;
    this.#content = [];
  }
}

/** The same items; neighbours of one type are one. */
export function joinItems(items: readonly AnswerItem[]): readonly AnswerItem[] {
  const result: AnswerItem[] = [];
  for (const item of items) {
    const before = result.at(-1);
    if (before && before.type !== 'call' && item.type === before.type)
      result[result.length - 1] = { type: before.type, content: before.content + item.content };
    else result.push(item);
  }
  return result;
}
