import { afterEach, describe, expect, it, vi } from 'vitest';
import { Conversations, titleOf } from '../../../plugins/ui-web/page/conversations.js';
import { bytes, duration, milliseconds } from '../../../plugins/ui-web/page/figures.js';
import { inPlainWords, inWords } from '../../../plugins/ui-web/page/plain-words.js';

describe('the page', () => {
  it('names a conversation by the first line of its first question', () => {
    expect(titleOf('  Hello there\nand more')).toBe('Hello there');
    expect(titleOf(`${'long words '.repeat(20)}`)).toMatch(/^(long words ){7}…$|^[\w ]{70,80}…$/);
    expect(titleOf('x'.repeat(200))).toBe(`${'x'.repeat(80)}…`);
    expect(titleOf(' ')).toBe('Conversation');
  });

  it.each([
    ['controls of direction', '\u202eevil\u2066 title\u200f', 'evil title'],
    ['other controls', 'a\0b\u001b[1m\tc\u0085', 'ab[1mc'],
    ['halves of characters', 'a\ud83d b\udc1d', 'a b'],
    ['whole characters', '🐝 שלום ไทย', '🐝 שלום ไทย'],
    ['nothing else', '\u202e\0\ud800', 'Conversation'],
    ['a character at its end', `${'x'.repeat(79)}🐝🐝`, `${'x'.repeat(79)}…`],
    ['a very long line', 'word '.repeat(200_000), `${'word '.repeat(16).trim()}…`],
  ])('names no conversation by %s', (_, question, title) => {
    expect(titleOf(question)).toBe(title);
  });

  it('says what went wrong in plain words, and what it does not know as the server says it', () => {
    expect(inPlainWords({ code: 'QUEUE_FULL', retryAfterMs: 2500 })).toBe(
      'The server is busy at the moment. Try again in 3 seconds.',
    );
    expect(inPlainWords({ code: 'ODD', message: 'the moon is full' })).toBe(
      'It did not work: the moon is full.',
    );
    expect(inPlainWords({ code: 'AGENT_FAILED', message: 'agent "a" failed: no tools' })).toBe(
      'The model reported an error: no tools',
    );
    expect(inPlainWords({})).toBe('It did not work.');
    expect(inPlainWords({ code: 'TOO_LARGE', message: 'more than 1048576 bytes' })).toBe(
      'This is too long: at most 1,024 KB can be sent at once.',
    );
    expect(inPlainWords({ code: 'TOO_LARGE' })).toBe('This is too long.');
  });

  it.each([
    [1, 'a second'],
    [1001, '2 seconds'],
    [90_000, '90 seconds'],
    [90_001, '2 minutes'],
    [5_400_000, '90 minutes'],
    [5_400_001, '2 hours'],
    [86_400_000, '24 hours'],
  ])('never says that %i ms are shorter than they are: %s', (ms, words) => {
    expect(inWords(ms)).toBe(words);
    expect(inPlainWords({ code: 'BUDGET_EXCEEDED', retryAfterMs: ms })).toBe(
      `There are not enough tokens left for this today. Try again in ${words}.`,
    );
  });

  it('writes figures for people', () => {
    expect([0, 999, 61_000, 3_600_000, 90_061_000].map(duration)).toEqual([
      '0 s',
      '0 s',
      '1 min 1 s',
      '1 h',
      '1 d 1 h',
    ]);
    expect([0.44, 9.96, 12.4, 3100, 61_000].map(milliseconds)).toEqual([
      '0.4 ms',
      '10 ms',
      '12 ms',
      '3.1 s',
      '1 min 1 s',
    ]);
    expect(bytes(3 * 1024 * 1024)).toBe('3 MiB');
  });
});

describe('what a browser remembers', () => {
  afterEach(() => vi.unstubAllGlobals());

  /** A storage with little room. */
  const storage = (limitChars: number) => {
    const kept: Record<string, string> = {};
    const methods = {
      getItem: (name: string) => kept[name] ?? null,
      removeItem: (name: string) => void delete kept[name],
      setItem: (name: string, value: string) => {
        const others = Object.entries(kept).filter(([each]) => each !== name);
        if (others.join('').length + name.length + value.length > limitChars) throw new Error('full');
        kept[name] = value;
      },
    };
    // The names of what is stored are properties of a storage.
    const methodsAreHidden = Object.fromEntries(
      Object.entries(methods).map(([name, value]) => [name, { value, configurable: true }]),
    );
    vi.stubGlobal(
      'localStorage',
      new Proxy(Object.defineProperties({}, methodsAreHidden), {
        ownKeys: () => Object.keys(kept),
        getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }),
      }),
    );
  };
  const say = (content: string) => [{ role: 'user', content }] as const;

  it('is the newest, where there is no room for all: older ones keep their place in the list', () => {
    storage(6000);
    const conversations = new Conversations();
    for (const id of ['a', 'b', 'c', 'd']) conversations.keep(id, say(id.repeat(1500)));
    expect(conversations.messages('d')).toEqual(say('d'.repeat(1500)));
    expect(conversations.messages('a')).toEqual([]);
    expect(new Conversations().entries.map(({ id }) => id).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is nothing where the browser forbids it, and the page works all the same', () => {
    vi.stubGlobal('localStorage', undefined);
    const conversations = new Conversations();
    conversations.keep('a', say('Hello'));
    expect(conversations.entries).toMatchObject([{ id: 'a', title: 'Hello' }]);
    conversations.remove('a');
    expect(conversations.entries).toEqual([]);
  });

  it('follows the server where that decides: what other devices have deleted is gone, and what it never knew stays', () => {
    storage(100_000);
    const conversations = new Conversations();
    conversations.keep('own', say('Mine'));
    const listed = (id: string) => ({ id, title: id, updatedAt: 1, known: 2 });
    conversations.follow([listed('a'), listed('b')]);
    conversations.keep('a', say('Hello'));
    conversations.follow([listed('b')]);
    expect(conversations.entries.map(({ id }) => id).sort()).toEqual(['b', 'own']);
    expect(conversations.messages('a')).toEqual([]);
  });

  it('takes up what the server knows, its titles as well, and keeps its own', () => {
    storage(100_000);
    const conversations = new Conversations();
    conversations.keep('own', say('Mine'));
    conversations.keep('mine', say('Mine'));
    conversations.merge([
      { id: 'own', title: 'Other name', updatedAt: 1, known: 2 },
      { id: 'far', title: 'Far away', updatedAt: 2, known: 4 },
    ]);
    expect(conversations.entries).toMatchObject([
      { id: 'mine', title: 'Mine' },
      { id: 'far', title: 'Far away', known: 4 },
      { id: 'own', title: 'Other name', known: 2 },
    ]);
  });
});
