import { z } from '#zod';
import type { ChatRequest, StreamChunk } from '../../contracts/agent.js';

const usualTags = ['think'];
/** Limit of text that is held back because it may be part of a tag. */
const heldLimitChars = 1000;

/** Schema of `reasoningTags` in a config: whether there are tags, or their names, `think` or `[THINK]`. */
export const reasoningTags = z.union([
  z.boolean(),
  z.array(z.string().regex(/^(<[\w-]{1,32}>|\[[\w-]{1,32}\]|[\w-]{1,32})$/)),
]);

interface Tag {
  readonly opening: string;
  readonly closing: string;
}

/**
 * Separates thinking from text where a model writes both as text: `<think>…</think>` and then the answer. A tag may arrive
 * in any number of pieces. Blanks around thinking are dropped, unless there is text before it.
 */
export class ReasoningTags {
  readonly #tags: readonly Tag[];
  /** The tag that is open. */
  #open: Tag | undefined;
  #held = '';
  #isBegun = false;
  #hasText = false;

  private constructor(tags: readonly Tag[]) {
    this.#tags = tags;
  }

  /** A separator for one answer; undefined without tags. */
  static of(setting: z.infer<typeof reasoningTags>): ReasoningTags | undefined {
    const names = typeof setting === 'boolean' ? (setting ? usualTags : []) : setting;
    return names.length > 0 ? new ReasoningTags(names.map(tagOf)) : undefined;
  }

  /** Adds `content`, as far as its kind is known, to `chunks`. */
  push(content: string, chunks: StreamChunk[]): void {
    let rest = this.#held + content;
    for (;;) {
      const [at, tag] = this.#next(rest);
      if (!tag) break;
      const before = rest.slice(0, at);
      this.#emit(this.#open || before.trim() === '' ? before.trimEnd() : before, chunks);
      rest = rest.slice(at + (this.#open ? tag.closing : tag.opening).length);
      this.#open = this.#open ? undefined : tag;
      this.#isBegun = true;
    }
    const known = rest.length > heldLimitChars ? rest.length : this.#known(rest);
    this.#emit(rest.slice(0, known), chunks);
    this.#held = rest.slice(known);
  }

  /** Adds the rest that was held back. */
  end(chunks: StreamChunk[]): void {
    this.#emit(this.#held, chunks);
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

  /** Length of the part of `text` that is neither part of a tag nor a blank that may be dropped. */
  #known(text: string): number {
    const awaited = this.#open ? [this.#open.closing] : this.#tags.map(({ opening }) => opening);
    const longest = Math.max(...awaited.map((tag) => tag.length));
    let end = Math.max(0, text.length - longest + 1);
    while (end < text.length && !awaited.some((tag) => tag.startsWith(text.slice(end)))) end++;
    const known = text.slice(0, end);
    const isOptional = this.#open !== undefined || (!this.#hasText && known.trim() === '');
    return isOptional ? known.trimEnd().length : end;
  }

  #emit(text: string, chunks: StreamChunk[]): void {
    const isFirst = this.#open ? this.#isBegun : this.#isBegun && !this.#hasText;
    const content = isFirst ? text.trimStart() : text;
    if (content === '') return;
    this.#isBegun = false;
    if (!this.#open) this.#hasText = true;
    chunks.push({ type: this.#open ? 'thinking' : 'text', content });
  }
}

/** A request without the thinking in earlier answers, which a model is not to read again. */
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
