import { describe, expect, it } from 'vitest';
import type { ChatMessage, ToolCall, TurnEnd } from '#kernel';
import {
  inContext as conversationOf,
  latestFrom,
  withoutFirst,
} from '../../../plugins/agent-queen/context.js';
import { remembered } from '../../../plugins/agent-queen/turn.js';
import { config as memoryConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';

const user = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: 'user',
  content,
  ...more,
});
const assistant = (content: string, more: Partial<ChatMessage> = {}): ChatMessage => ({
  role: 'assistant',
  content,
  ...more,
});
const call = (id: string): ToolCall => ({ id, name: 'look', arguments: '{}' });
const calls = (...ids: readonly string[]) => assistant('', { toolCalls: ids.map(call) });
const result = (id: string): ChatMessage => ({ role: 'tool', content: 'found', toolCallId: id });
const system = (content: string): ChatMessage => ({ role: 'system', content });

/** The messages for an agent whose window is unknown. */
function inContext(history: readonly ChatMessage[], turn: readonly ChatMessage[], limit: number) {
  const conversation = conversationOf(history, turn);
  return withoutFirst(conversation.messages, latestFrom(conversation, limit));
}

/** Why a strict server refuses it: templates of llama.cpp, vLLM and Mistral, and Anthropic's API. */
function refusalOf(messages: readonly ChatMessage[]): string | undefined {
  const rest = messages.slice(messages.findIndex(({ role }) => role !== 'system'));
  if (rest[0]?.role !== 'user') return 'it does not begin with the user';
  let open = new Set<string | undefined>();
  for (const [at, message] of rest.entries()) {
    const { role, content, images, toolCalls, toolCallId, end } = message;
    const before = rest[at - 1];
    if (end || 'at' in message || 'answered' in message) return 'it has what is for the store';
    if (role === 'system') return 'the system speaks later';
    if (role === 'tool' && !open.delete(toolCallId)) return 'a result without a call';
    if (role !== 'tool' && open.size > 0) return 'a call without a result';
    if (role === before?.role && role !== 'tool') return `two of ${role}`;
    if (role !== 'tool' && content === '' && !toolCalls && !images) return 'nothing is said';
    open = role === 'assistant' ? new Set(toolCalls?.map(({ id }) => id)) : open;
  }
  return rest.at(-1)?.role === 'assistant' ? 'there is no question' : undefined;
}

describe('what an agent reads of a conversation', () => {
  const q = user('Q');
  it.each<
    [what: string, history: readonly ChatMessage[], turn: readonly ChatMessage[], string, limit?: number]
  >([
    ['all of a short one', [user('a'), assistant('b')], [q], 'user:a assistant:b user:Q'],
    ['not from an answer on', [user('a'), assistant('b')], [q], 'user:Q', 2],
    ['not from a result on', [user('a'), calls('1'), result('1'), assistant('b')], [q], 'user:Q', 3],
    ['an old window that begins with an answer', [assistant('b')], [q], 'user:Q'],
    ['a question without an answer with the next one', [user('a', { end: 'failed' })], [q], 'user:a\n\nQ'],
    [
      'a part of an answer',
      [user('a'), assistant('b', { end: 'cancelled' })],
      [q],
      'user:a assistant:b user:Q',
    ],
    ['not what no model took', [user('a', { end: 'refused' })], [q], 'user:Q'],
    [
      'a question that is asked again once',
      [user('Q', { end: 'failed' }), user('Q', { end: 'failed' })],
      [q],
      'user:Q',
    ],
    ['no empty answer of earlier days', [user('a'), assistant('')], [q], 'user:a\n\nQ'],

    [
      'two answers in a row as one',
      [user('a'), assistant('b'), assistant('c')],
      [q],
      'user:a assistant:b\n\nc user:Q',
    ],
    ['a turn of several in its order', [], [user('a'), assistant('b'), q], 'user:a assistant:b user:Q'],
    [
      'what the system says first',
      [user('a'), assistant('b')],
      [system('S'), q],
      'system:S user:a assistant:b user:Q',
    ],
    ['also where it says that later', [], [user('a'), system('S'), q], 'system:S user:a\n\nQ'],
    ['no call without a result', [user('a'), calls('1')], [q], 'user:a\n\nQ'],
    [
      'half of the calls',
      [user('a'), calls('1', '2'), result('2'), assistant('b')],
      [q],
      'user:a assistant:(2) tool:found assistant:b user:Q',
    ],
    ['no result without a call', [user('a'), result('1'), assistant('b')], [q], 'user:a assistant:b user:Q'],
    [
      'a call whose result comes now',
      [user('a'), calls('1')],
      [result('1')],
      'user:a assistant:(1) tool:found',
    ],
    [
      'that with its question, however short the window',
      [user('a'), calls('1')],
      [result('1')],
      'user:a assistant:(1) tool:found',
      1,
    ],
    [
      'a call that the client says again',
      [user('a'), calls('1')],
      [calls('1'), result('1')],
      'user:a assistant:(1) tool:found',
    ],
    [
      'all of a long turn',
      [user('a'), assistant('b')],
      [user('c'), assistant('d'), q],
      'user:c assistant:d user:Q',
      1,
    ],
  ])('is %s', (_, history, turn, expected, limit = 100) => {
    const read = inContext(history, turn, limit);
    const shown = read.map(({ role, content, toolCalls }) => {
      return `${role}:${content}${toolCalls ? `(${toolCalls.map(({ id }) => id)})` : ''}`;
    });
    expect(shown.join(' ')).toBe(expected);
    expect(refusalOf(read)).toBeUndefined();
  });

  it('keeps the images of questions that become one, in order', () => {
    const [read] = inContext(
      [user('a', { end: 'failed' })],
      [user('Q', { images: ['data:1', 'data:2'] })],
      9,
    );
    expect(read).toEqual(user('a\n\nQ', { images: ['data:1', 'data:2'] }));
    const parts = [{ type: 'image', url: 'data:1' } as const, { type: 'text', text: 'Q' } as const];
    expect(inContext([user('a')], [user('Q', { images: ['data:1'], parts })], 9)).toEqual([
      user('a\n\nQ', { images: ['data:1'], parts: [{ type: 'text', text: 'a' }, ...parts] }),
    ]);
  });

  it('can be sent to any model, whatever was said, kept and cut', async () => {
    let seed = 7;
    const below = (limit: number) => {
      seed = (seed * 48_271) % 0x7fffffff;
      return seed % limit;
    };
    const words = () => ['', ' ', 'a', 'bb', 'c'.repeat(below(60))][below(5)] as string;
    const ends: readonly (TurnEnd | undefined)[] = [undefined, undefined, 'cancelled', 'failed', 'refused'];
    for (let round = 0; round < 300; round++) {
      const limits = { maxMessages: 2 + below(9), conversationLimitChars: 30 + below(300) };
      const store = new MemoryStore(memoryConfig.parse(limits));
      const key = { userId: 'u', conversationId: String(round) };
      const contextMessages = 1 + below(12);
      for (let turns = 0; turns < 12; turns++) {
        const asked = user(`Q${turns}${words()}`, below(6) === 0 ? { content: '', images: ['data:x'] } : {});
        const last = (await store.read(key)).at(-1);
        const open = last?.toolCalls?.map(({ id }) => result(id)) ?? [];
        const turn =
          open.length > 0 && below(2)
            ? open
            : below(5) === 0
              ? [user('more'), assistant('said'), asked]
              : [asked];
        const read = inContext(await store.read(key, contextMessages), turn, contextMessages);
        const isLost = turn === open && read[0]?.role !== 'user';
        if (!isLost) expect([refusalOf(read), read]).toEqual([undefined, read]);
        expect(read.at(-1)?.content.endsWith(turn.at(-1)?.content ?? '')).toBe(true);
        const toolCalls = below(4) === 0 ? [call(`${round}.${turns}`)] : [];
        const end = ends[below(ends.length)];
        const isSilent = toolCalls.length > 0 || end === 'refused';
        const text = isSilent ? '' : words();
        const said = { text, toolCalls: end === 'refused' ? [] : toolCalls, ...(end && { end }) };
        await store.append(key, remembered(turn, said)).catch(() => {});
        const [first] = await store.read(key);
        expect(first?.role ?? 'user').toBe('user');
      }
    }
  });
});

describe('what is kept of a turn', () => {
  const image = { type: 'image', url: 'data:1' } as const;
  it.each<[what: string, turn: readonly ChatMessage[], text: string, kept: readonly ChatMessage[], TurnEnd?]>(
    [
      ['a question and its answer', [user('a')], 'b', [user('a'), assistant('b')]],
      [
        'in the order of the turn',
        [user('a'), assistant('b'), user('c')],
        'd',
        [user('a'), assistant('b'), user('c'), assistant('d')],
      ],
      ['nothing of the system', [system('S'), user('a')], 'b', [user('a'), assistant('b')]],
      ['no empty answer', [user('a')], '', [user('a')]],

      ['an image without words', [user('', { images: ['data:1'] })], 'b', [user('[image]'), assistant('b')]],
      [
        'two of them',
        [user('', { images: ['data:1'], parts: [image, image] })],
        'b',
        [user('[image] [image]'), assistant('b')],
      ],
      [
        'a file',
        [user('', { parts: [{ type: 'other', value: {} }] })],
        'b',
        [user('[attachment]'), assistant('b')],
      ],
      ['the words beside an image', [user('a', { images: ['data:1'] })], 'b', [user('a'), assistant('b')]],
      [
        'a part with its end',
        [user('a')],
        'b',
        [user('a'), assistant('b', { end: 'cancelled' })],
        'cancelled',
      ],
      ['a question with its end', [user('a')], '', [user('a', { end: 'failed' })], 'failed'],
    ],
  )('is %s', (_, turn, text, kept, end) => {
    expect(remembered(turn, { text, toolCalls: [], ...(end && { end }) })).toEqual(kept);
  });
});
