import { z } from '#zod';
import type { ChatRequest, StreamChunk } from '../../contracts/agent.js';

const usualTags = ['think'];
/** What may be held back before it is known what it belongs to. */
const heldLimitChars = 1000;

/** `reasoningTags` in a config: whether there are such tags, or how they are called, `think` or `[THINK]`. */
export const reasoningTags = z.union([
  z.boolean(),
  z.array(z.string().regex(/^(<[\w-]{1,32}>|\[[\w-]{1,32}\]|[\w-]{1,32})$/)),
]);

interface Tag {
  readonly opening: string;
  readonly closing: string;
}

/**
 * Tells thinking from text where a model writes both as text: `<think>…</think>` and then the answer. A tag may come in any
 * number of pieces. Blanks around thinking are left out, unless there is text before it.
 */
export class ReasoningTags {
  readonly #tags: readonly Tag[];
  /** The one whose end is awaited. */
  #open: Tag | undefined;
  #held = '';
  #isBegun = false;
  #hasText = false;

  private constructor(tags: readonly Tag[]) {
    this.#tags = tags;
  }

  /** One for each answer; none where there are no such tags. */
  static of(setting: z.infer<typeof reasoningTags>): ReasoningTags | undefined {
    const names = typeof setting === 'boolean' ? (setting ? usualTags : []) : setting;
    return names.length > 0 ? new ReasoningTags(names.map(tagOf)) : undefined;
  }

  /** Adds what `content` has shown to be thinking or text. */
  push(content: string, chunks: StreamChunk[]): void {
    let rest = this.#held + content;
    for (;;) {
      const [at, tag] = this.#next(rest);
      if (!tag) break;
      const before = rest.slice(0, at);
      this.#give(this.#open || before.trim() === '' ? before.trimEnd() : before, chunks);
      rest = rest.slice(at + (this.#open ? tag.closing : tag.opening).length);
      this.#open = this.#open ? undefined : tag;
      this.#isBegun = true;
    }
    const known = rest.length > heldLimitChars ? rest.length : this.#known(rest);
    this.#give(rest.slice(0, known), chunks);
    this.#held = rest.slice(known);
  }

  /** Nothing more will come. */
  end(chunks: StreamChunk[]): void {
    this.#give(this.#held, chunks);
    this.#held = '';
  }

  #next(text: string): readonly [at: number, tag: Tag | undefined] {
    if (this.#open) {
      const at = text.indexOf(this.#open.closing);
      return [at, at < 0 ? undefined : this.#open];
    }
    let [first, found]: [number, Tag | undefined] = [Number.POSITIVE_INFINITY, undefined];
    for (const tag of this.#tags) {
      const at = text.indexOf(tag.opening);
      if (at >= 0 && at < first) [first, found] = [at, tag];
    }
    return [first, found];
  }

  /** So much of `text` is no part of a tag, and no blank that may be left out. */
  #known(text: string): number {
    const awaited = this.#open ? [this.#open.closing] : this.#tags.map(({ opening }) => opening);
    const longest = Math.max(...awaited.map((tag) => tag.length));
    let end = Math.max(0, text.length - longest + 1);
    while (end < text.length && !awaited.some((tag) => tag.startsWith(text.slice(end)))) end++;
    const known = text.slice(0, end);
    const isOptional = this.#open !== undefined || (!this.#hasText && known.trim() === '');
    return isOptional ? known.trimEnd().length : end;
  }

  #give(text: string, chunks: StreamChunk[]): void {
    const isFirst = this.#open ? this.#isBegun : this.#isBegun && !this.#hasText;
    const content = isFirst ? text.trimStart() : text;
    if (content === '') return;
    this.#isBegun = false;
    if (!this.#open) this.#hasText = true;
    chunks.push({ type: this.#open ? 'thinking' : 'text', content });
  }
}

/** A request without what its answers say as thinking: that is not for a model to read again. */
export function withoutThinking(request: ChatRequest, setting: z.infer<typeof reasoningTags>): ChatRequest {
  if (!ReasoningTags.of(setting)) return request;
  const messages = request.messages.map((message) =>
    message.role === 'assistant' ? { ...message, content: textIn(message.content, setting) } : message,
  );
  return { ...request, messages };
}

function textIn(content: string, setting: z.infer<typeof reasoningTags>): string {
  const chunks: StreamChunk[] = [];
  const tags = ReasoningTags.of(setting);
  tags?.push(content, chunks);
  tags?.end(chunks);
  return chunks.map((chunk) => (chunk.type === 'text' ? chunk.content : '')).join('');
}

function tagOf(name: string): Tag {
  const [, bracket = '<', word = ''] = /^([<[]?)([\w-]+)/.exec(name) ?? [];
  const [start, end] = bracket === '[' ? ['[', ']'] : ['<', '>'];
  return { opening: `${start}${word}${end}`, closing: `${start}/${word}${end}` };
}
