import type { StreamChunk } from '#kernel';
import { detached, newCallId, rawParts } from '#sdk';
import { PieceError } from '#sdk/upstream';

interface LineCall {
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
}

/** The tool calls of one answer. Each arrives whole. */
export class ToolCalls {
  readonly #ids = new Set<string>();

  get any(): boolean {
    return this.#ids.size > 0;
  }

  /** Adds the calls of one line to `chunks`. @throws PieceError */
  read(calls: readonly unknown[], chunks: StreamChunk[]): void {
    for (const call of calls) {
      const { id, function: called } = (call ?? {}) as LineCall;
      if (typeof called?.name !== 'string' || called.name === '')
        throw new PieceError('a tool call has no name');
      const { name, arguments: args } = called;
      const text = typeof args === 'string' ? args : JSON.stringify(args ?? {});
      chunks.push({ type: 'tool_call', id: this.#idFor(id), name, arguments: text.trim() || '{}' });
    }
  }

  /** A unique id: some runners give none, or the same to all calls. */
  #idFor(given: unknown): string {
    const isNew = typeof given === 'string' && given !== '' && !this.#ids.has(given);
    const id = isNew ? given : newCallId();
    this.#ids.add(id);
    return id;
  }
}

/** A parsed line with the source text of its tool calls' arguments, because parsing changes numbers. */
export function withRawArguments(value: unknown, line: string): unknown {
  const { message } = (value ?? {}) as { readonly message?: { readonly tool_calls?: unknown } | null };
  if (!Array.isArray(message?.tool_calls)) return value;
  const raw = [...rawParts(partOf(partOf(line, 'message'), 'tool_calls')).values()];
  const calls = (message.tool_calls as (LineCall | null)[]).map((call, place) => {
    if (typeof call?.function?.arguments !== 'object' || call.function.arguments === null) return call;
    const text = partOf(partOf(raw[place] ?? '', 'function'), 'arguments');
    return { ...call, function: { ...call.function, arguments: detached(text) } };
  });
  return { ...(value as object), message: { ...message, tool_calls: calls } };
}

function partOf(json: string, key: string): string {
  return rawParts(json).get(key) ?? '';
}
