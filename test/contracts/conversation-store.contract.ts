import { describe, expect, it } from 'vitest';
import type { ChatMessage, ConversationStore } from '#kernel';

export interface StoreLimits {
  readonly maxMessages: number;
  readonly maxConversations: number;
  readonly conversationLimitChars: number;
}

/** Everything that the contract `ConversationStore` promises, for any implementation. */
export function conversationStoreContract(
  name: string,
  create: (limits: StoreLimits) => Promise<ConversationStore>,
): void {
  const limits = { maxMessages: 4, maxConversations: 3, conversationLimitChars: 100 };
  const key = (conversationId: string, userId = 'ann') => ({ userId, conversationId });
  const turn = (content: string): readonly ChatMessage[] => [
    { role: 'user', content },
    { role: 'assistant', content: `${content}!` },
  ];

  describe(`${name} keeps the ConversationStore contract`, () => {
    it('has nothing for an unknown conversation', async () => {
      expect(await (await create(limits)).read(key('c'))).toEqual([]);
    });

    it('gives back what was appended, oldest first', async () => {
      const store = await create(limits);
      await store.append(key('c'), turn('one'));
      await store.append(key('c'), turn('two 🐝'));
      expect(await store.read(key('c'))).toEqual([...turn('one'), ...turn('two 🐝')]);
    });

    it.each<[what: string, words: readonly string[], back: string, left: readonly string[]]>([
      ['the newest turn', ['one', 'two'], 'two', ['one']],
      ['the only one, and the conversation with it', ['one'], 'one', []],
      ['one that is not the newest any more', ['one', 'two', 'three'], 'two', ['one', 'three']],
      ['the later one of two that are alike', ['one', 'two', 'one'], 'one', ['one', 'two']],
      ['nothing where the turn is gone', ['one'], 'two', ['one']],
    ])('takes back %s', async (_, words, back, left) => {
      const store = await create({ ...limits, maxMessages: 6 });
      const turns = new Map<string, readonly ChatMessage[]>([[back, turn(back)]]);
      for (const word of words) {
        turns.set(word, turn(word));
        await store.append(key('c'), turns.get(word) ?? []);
      }
      await store.retract?.(key('c'), turns.get(back) ?? []);
      expect(await store.read(key('c'))).toEqual(left.flatMap(turn));
      expect(await store.list('ann', { limit: 9 })).toHaveLength(left.length > 0 ? 1 : 0);
      // The books are right: as much fits in as did before.
      for (const word of ['a', 'b', 'c']) await store.append(key('c'), turn(word));
      expect(await store.read(key('c'))).toEqual(['a', 'b', 'c'].flatMap(turn));
      expect(await store.delete(key('c'))).toBe(true);
      await store.retract?.(key('c'), turn('c'));
      expect(await store.read(key('c'))).toEqual([]);
    });

    it.each<[what: string, from: number, words: readonly string[], left: readonly string[]]>([
      ['the last turn', 2, ['new'], ['one', 'two', 'new']],
      ['several turns by one', 1, ['new'], ['one', 'new']],
      ['all turns by others', 0, ['new', 'newer'], ['new', 'newer']],
      ['the last turns by nothing', 1, [], ['one']],
      ['all turns by nothing, and the conversation is gone', 0, [], []],
      ['nothing where no number is that high', 3, ['new'], ['one', 'two', 'three', 'new']],
    ])('puts messages in the place of others: %s', async (_, from, words, left) => {
      const store = await create({ ...limits, maxMessages: 8, conversationLimitChars: 1000 });
      if (!store.replace || !store.page) return;
      for (const word of ['one', 'two', 'three']) await store.append(key('c'), turn(word));
      const before = await store.page(key('c'), { limit: 9 });
      const number = before[2 * from]?.number ?? (before.at(-1)?.number ?? 0) + 1;
      await store.replace(key('c'), number, words.flatMap(turn));
      expect(await store.read(key('c'))).toEqual(left.flatMap(turn));
      expect(await store.list('ann', { limit: 9 })).toMatchObject(
        left.length > 0 ? [{ conversationId: 'c', messages: 2 * left.length }] : [],
      );
      // No number is given twice.
      const after = await store.page(key('c'), { limit: 9 });
      const known = new Set(before.slice(2 * from).map((each) => each.number));
      expect(after.filter((each) => known.has(each.number))).toEqual([]);
      if (store.search) expect(await found(store, 'three')).toHaveLength(left.includes('three') ? 2 : 0);
      // The books are right.
      for (const word of ['a', 'b', 'c', 'd']) await store.append(key('c'), turn(word));
      expect(await store.read(key('c'))).toEqual(['a', 'b', 'c', 'd'].flatMap(turn));
    });

    it('puts messages in the place of others only where nothing has come since', async () => {
      const store = await create(limits);
      if (!store.replace || !store.page) return;
      for (const word of ['one', 'two']) await store.append(key('c'), turn(word));
      const seen = await store.page(key('c'), { limit: 9 });
      const [from = 0, last] = [seen[2]?.number, seen.at(-1)?.number];
      // Each from what it has seen, at once: one of them is first.
      const words = ['a', 'b', 'c'];
      const done = await Promise.all(words.map((word) => store.replace?.(key('c'), from, turn(word), last)));
      expect(done.filter(Boolean)).toHaveLength(1);
      const first = words[done.indexOf(true)] ?? '';
      expect(await store.read(key('c'))).toEqual([...turn('one'), ...turn(first)]);
      const [, , , latest] = await store.page(key('c'), { limit: 9 });
      expect(await store.replace(key('c'), latest?.number ?? 0, [], latest?.number)).toBe(true);
      // What it has seen is gone.
      expect(await store.replace(key('c'), 0, turn('x'), latest?.number)).toBe(false);
      expect(await store.replace(key('unknown'), 0, turn('x'), 1)).toBe(false);
      expect(await store.read(key('unknown'))).toEqual([]);
      expect(await store.read(key('c'))).toEqual([...turn('one'), turn(first)[0]]);
    });

    it('puts nothing in the place of others that is larger than a conversation may be, with its versions', async () => {
      const store = await create(limits);
      if (!store.replace || !store.page) return;
      await store.append(key('c'), turn('one'));
      const [first] = await store.page(key('c'), { limit: 9 });
      const versions = [turn('x'.repeat(60))];
      const question: ChatMessage = { role: 'user', content: 'new', versions };
      await expect(store.replace(key('c'), first?.number ?? 0, [question])).rejects.toMatchObject({
        code: 'TOO_LARGE',
      });
      expect(await store.read(key('c'))).toEqual(turn('one'));
      const small: ChatMessage = { role: 'user', content: 'new', versions: [turn('old')] };
      await store.replace(key('c'), first?.number ?? 0, [small]);
      expect(await store.read(key('c'))).toEqual([small]);
      await store.replace(key('unknown'), 1, turn('two'));
      expect(await store.read(key('unknown'))).toEqual(turn('two'));
    });

    it('hands out lists that later turns do not change', async () => {
      const store = await create(limits);
      await store.append(key('c'), turn('one'));
      const before = await store.read(key('c'));
      await store.append(key('c'), turn('two'));
      expect(before).toEqual(turn('one'));
    });

    it('keeps users apart, whatever their ids look like', async () => {
      const store = await create({ ...limits, maxConversations: 10 });
      for (const [user, conversation] of [
        ['a', 'b:c'],
        ['b', 'b:c'],
        ['a:b', 'c'],
        ['__proto__', 'constructor'],
        ['a', '","b'],
      ] as const) {
        expect(await store.read(key(conversation, user))).toEqual([]);
        await store.append(key(conversation, user), turn('x'));
      }
    });

    it('drops the oldest messages of a long conversation', async () => {
      const store = await create(limits);
      for (const word of ['one', 'two', 'three']) await store.append(key('c'), turn(word));
      expect(await store.read(key('c'))).toEqual([...turn('two'), ...turn('three')]);
    });

    it('drops the oldest messages of a large conversation', async () => {
      const store = await create({ ...limits, maxMessages: 1000 });
      for (let at = 0; at < 50; at++) await store.append(key('c'), turn(`message ${at}`));
      const messages = await store.read(key('c'));
      expect(messages.map((message) => message.content).join('').length).toBeLessThanOrEqual(100);
      expect(messages.at(-1)?.content).toBe('message 49!');
    });

    const said = (roles: string, chars = 1): readonly ChatMessage[] =>
      [...roles].map((role, at) => ({
        role: role === 'u' ? 'user' : role === 't' ? 'tool' : 'assistant',
        content: `${at}`.padEnd(chars, '.'),
      }));
    it.each<[what: string, limits: object, turns: readonly (readonly ChatMessage[])[], left: string]>([
      ['an answer goes with its question', { maxMessages: 3 }, [said('ua'), said('ua')], 'ua'],
      ['all that was said to it', { maxMessages: 6 }, [said('uatta'), said('ua')], 'ua'],
      ['by characters as well', {}, [said('ua', 30), said('ua', 30)], 'ua'],
      ['one question of two', { maxMessages: 3 }, [said('u'), said('ua'), said('u')], 'uau'],
      ['a turn that alone is too long', { maxMessages: 4 }, [said('uatata')], ''],
      ['a conversation that is short enough stays as it is', { maxMessages: 4 }, [said('aua')], 'aua'],
    ])('keeps nothing that begins with an answer or a result: %s', async (_, more, turns, left) => {
      const store = await create({ ...limits, ...more });
      for (const turn of turns) await store.append(key('c'), turn);
      expect((await store.read(key('c'))).map(({ role }) => role[0])).toEqual([...left]);
      expect(await store.list('ann', { limit: 9 })).toHaveLength(left === '' ? 0 : 1);
      // The books are right.
      for (let times = 0; times < 9; times++) await store.append(key('c'), said('ua'));
      expect((await store.read(key('c')))[0]?.role).toBe('user');
    });

    it('gives back how a turn has ended, and the calls of tools; all that can be long counts', async () => {
      const store = await create(limits);
      const toolCalls = [{ id: '1', name: 'look', arguments: '{"at": 1.0}' }];
      const kept: readonly ChatMessage[] = [
        { role: 'user', content: 'a', end: 'failed' },
        { role: 'assistant', content: '', toolCalls },
      ];
      await store.append(key('c'), kept);
      expect(await store.read(key('c'))).toEqual(kept);
      const long = 'x'.repeat(200);
      for (const more of [
        { toolCalls: [{ id: '1', name: 'look', arguments: long }] },
        { images: ['data:image/png;base64,', long] },
        { parts: [{ type: 'text' as const, text: long }] },
        { thinking: long },
        { extra: { long } },
      ]) {
        const turn: readonly ChatMessage[] = [{ role: 'assistant', content: '', ...more }];
        await expect(store.append(key('c'), turn)).rejects.toMatchObject({ code: 'TOO_LARGE' });
      }
    });

    it('refuses a message that is larger than a whole conversation may be', async () => {
      const store = await create(limits);
      await expect(store.append(key('c'), turn('x'.repeat(101)))).rejects.toMatchObject({
        code: 'TOO_LARGE',
      });
      expect(await store.read(key('c'))).toEqual([]);
    });

    it('forgets the conversation that was not used for the longest time', async () => {
      const store = await create(limits);
      for (const id of ['a', 'b', 'c']) await store.append(key(id), turn(id));
      await store.read(key('a'));
      await store.append(key('d'), turn('d'));
      expect(await store.read(key('b'))).toEqual([]);
      expect(await store.read(key('a'))).toEqual(turn('a'));
    });

    it('gives the latest messages, as many as are asked for', async () => {
      const store = await create(limits);
      await store.append(key('c'), turn('one'));
      await store.append(key('c'), turn('two'));
      expect(await store.read(key('c'), 3)).toEqual([...turn('one'), ...turn('two')].slice(1));
      expect(await store.read(key('c'), 9)).toHaveLength(4);
      expect(await store.read(key('c'), 0)).toEqual([]);
    });

    it('gives back every character, also in ids, and tells ids apart by each of them', async () => {
      const odd = ['a', 'a\0', 'a\0b', '\ud800', '\udfff', '\ufffd', 'e\u0301', 'é', '"', "'", '%', 'A'];
      const store = await create({ ...limits, maxConversations: 100 });
      for (const id of odd) await store.append(key(id, id), turn(id));
      for (const id of odd) expect(await store.read(key(id, id))).toEqual(turn(id));
      for (const id of odd)
        expect(await store.list(id, { limit: 9 })).toMatchObject([{ conversationId: id }]);
    });

    it('sees what was appended before, also when nobody has waited for it', async () => {
      const store = await create(limits);
      const appended = [store.append(key('c'), turn('one')), store.append(key('c'), turn('two'))];
      expect(await store.read(key('c'))).toEqual([...turn('one'), ...turn('two')]);
      await Promise.all(appended);
    });

    it('takes a turn of no messages for nothing', async () => {
      const store = await create(limits);
      await store.append(key('c'), []);
      expect(await store.list('ann', { limit: 9 })).toEqual([]);
    });

    it('deletes a conversation, and nothing for an unknown one', async () => {
      const store = await create(limits);
      await store.append(key('c'), turn('one'));
      expect(await store.delete(key('c'))).toBe(true);
      expect(await store.delete(key('c'))).toBe(false);
      expect(await store.delete(key('nobody'))).toBe(false);
      expect(await store.read(key('c'))).toEqual([]);
      expect(await store.list('ann', { limit: 9 })).toEqual([]);
    });

    it("lists a user's conversations, the one that was added to last first", async () => {
      const store = await create({ ...limits, maxConversations: 10 });
      const startedAt = Date.now();
      for (const id of ['a', 'b', 'c']) await store.append(key(id), turn(id));
      await store.append(key('theirs', 'bob'), turn('x'));
      await store.append(key('a'), turn('more'));
      await store.read(key('b'));
      const list = await store.list('ann', { limit: 9 });
      expect(list.map(({ conversationId, title, messages }) => [conversationId, title, messages])).toEqual([
        ['a', 'a', 4],
        ['c', 'c', 2],
        ['b', 'b', 2],
      ]);
      for (const { updatedAt } of list) {
        expect(Number.isInteger(updatedAt)).toBe(true);
        expect(updatedAt).toBeGreaterThanOrEqual(startedAt);
      }
      expect(await store.list('nobody', { limit: 9 })).toEqual([]);
    });

    it('lists page by page, each conversation once, however fast they came', async () => {
      const store = await create({ ...limits, maxConversations: 100 });
      const ids = Array.from({ length: 50 }, (_, index) => `c${index}`);
      await Promise.all(ids.map((id) => store.append(key(id), turn(id))));
      const listed: string[] = [];
      for (let before: number | undefined; ; ) {
        const page = await store.list('ann', { limit: 7, before });
        listed.push(...page.map(({ conversationId }) => conversationId));
        before = page.at(-1)?.updatedAt;
        if (page.length < 7) break;
      }
      expect(listed).toEqual(ids.reverse());
    });

    it('gives a conversation page by page, each message once, from the newest back', async () => {
      const store = await create({ ...limits, maxMessages: 100, conversationLimitChars: 1000 });
      if (!store.page) return;
      expect(await store.page(key('c'), { limit: 3 })).toEqual([]);
      const words = ['a', 'b', 'c', 'd', 'e'];
      for (const word of words) {
        await store.append(key('c'), turn(word));
        await store.append(key('other'), turn('x'));
      }
      const pages: (readonly ChatMessage[])[] = [];
      const numbers: number[] = [];
      for (let before: number | undefined; ; ) {
        const page = await store.page(key('c'), { limit: 3, before });
        pages.unshift(page.map(({ message }) => message));
        numbers.unshift(...page.map(({ number }) => number));
        before = page[0]?.number;
        if (page.length < 3) break;
        // What is said meanwhile moves no page.
        await store.append(key('c'), turn('later'));
      }
      expect(pages.map(({ length }) => length)).toEqual([1, 3, 3, 3]);
      expect(pages.flat()).toEqual(words.flatMap(turn));
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(new Set(numbers).size).toBe(10);
      expect(await store.page(key('c', 'bob'), { limit: 3 })).toEqual([]);
      expect(await store.page(key('c'), { limit: 0 })).toEqual([]);
      expect(await store.page(key('c'), { limit: 9, before: 0 })).toEqual([]);
    });

    it('renames a conversation, whose later turns leave the title alone', async () => {
      const store = await create(limits);
      if (!store.rename) return;
      await store.append(key('c'), turn('one'));
      await store.append(key('d'), turn('two'));
      const [, before] = await store.list('ann', { limit: 9 });
      expect(await store.rename(key('c'), ' Good\n\0morning \ud800 ')).toBe(true);
      expect(await store.rename(key('c', 'bob'), 'theirs')).toBe(false);
      expect(await store.rename(key('x'), 'nothing')).toBe(false);
      // Its place in the list stays as well.
      expect((await store.list('ann', { limit: 9 }))[1]).toEqual({ ...before, title: 'Good morning' });
      await store.append(key('c'), turn('three'));
      expect((await store.list('ann', { limit: 1 }))[0]).toMatchObject({ title: 'Good morning' });
      await store.rename(key('c'), 'x'.repeat(200));
      expect((await store.list('ann', { limit: 1 }))[0]?.title).toBe(`${'x'.repeat(79)}…`);
    });

    const oneLine = (text: string) => text.replace(/[\s\p{Cc}\p{Cs}]+/gu, ' ');
    /** The texts that a search finds. */
    const found = async (store: ConversationStore, text: string, user = 'ann') =>
      (await store.search?.(user, { text, limit: 100 }))?.hits.map(({ excerpt }) => excerpt);

    const searches: readonly (readonly [text: string, found: readonly string[], lost: readonly string[]])[] =
      [
        ['The bee flies home', ['home bee', 'BEE', ' flies,  THE '], ['bee stings']],
        ['Wetterbericht', ['wetter'], ['bericht']],
        ['Straße über Ångström', ['strasse', 'UBER angstrom', 'Å'], ['ueber']],
        ['私は東京都に住んでいます', ['東京', '京都', '東', 'す', '東京都 住'], ['京東', '大']],
        ['안녕하세요 여러분', ['안녕', '여러'], ['하세']],
        ['ab 𝒳𠀀𠀁 yz', ['𠀀𠀁', '𠀁', 'x'], ['𠀁𠀀']],
        ['honey 🐝 bee', ['🐝'], ['🐞']],
        ['version 3.45.1 of 2024', ['3.45', '2024', '202'], ['024']],
        ['one\0two\ud800three', ['one', 'two', 'three'], ['onetwo']],
        ['anything', [], ['', ' ', '?!', '*', '"', '()', '-', '\0', '\ud800']],
        ['near and or not', ['NEAR', 'and', 'NOT (or', '"near" AND*'], ['near(x y)']],
        ['words col', ['words:', '^col', '{words} : col'], ['words:x', 'NEAR(words xy, 5)']],
        [`it's "quoted" 50% a_b`, [`it's`, '"quoted"', '50%', 'a_b'], ["' OR 1=1 --"]],
        ['a'.repeat(100), ['a', 'a'.repeat(100)], ['aab']],
      ];
    it('finds words of any language by their beginning, and takes any text for words', async () => {
      const store = await create({ ...limits, maxConversations: 100, conversationLimitChars: 1000 });
      if (!store.search) return;
      for (const [text, words, lost] of searches) {
        await store.append(key('c', text), [{ role: 'assistant', content: text }]);
        await store.append(key('d', text), turn('mmm'));
        for (const word of words) expect(await found(store, word, text), word).toEqual([oneLine(text)]);
        for (const word of lost) expect(await found(store, word, text), word).toEqual([]);
      }
    });

    it('finds in the conversations of one user alone, whatever the ids look like', async () => {
      const store = await create({ ...limits, maxConversations: 100 });
      if (!store.search) return;
      const users = ['a', 'a_', 'A', 'a b', '', '\0', '\ud800', '"', '*', 'ann', '__proto__'];
      for (const user of users)
        await store.append(key('c', user), [{ role: 'user', content: `secret of "${user}"` }]);
      for (const user of users) expect(await found(store, 'secret', user)).toHaveLength(1);
      expect(await found(store, 'secret', 'nobody')).toEqual([]);
    });

    it('finds the newest message first, page by page, and says where it is', async () => {
      const store = await create({ ...limits, maxMessages: 100, conversationLimitChars: 1000 });
      if (!store.search) return;
      const order: string[] = [];
      for (let at = 0; at < 9; at++) {
        const id = at % 2 === 0 ? 'even' : 'odd';
        await store.append(key(id), [
          { role: 'user', content: `word ${at}`, at: 1000 + at },
          { role: 'tool', content: 'word in a result' },
          { role: 'assistant', content: 'nothing' },
        ]);
        order.unshift(`word ${at}`);
      }
      const hits: string[] = [];
      for (let before: number | undefined; ; ) {
        const page = (await store.search('ann', { text: 'word', limit: 4, before })).hits;
        hits.push(...page.map(({ excerpt }) => excerpt));
        before = page.at(-1)?.number;
        if (page.length < 4) break;
      }
      expect(hits).toEqual(order);
      const { hits: all, complete } = await store.search('ann', { text: 'word 8', limit: 9 });
      expect(complete).toBe(true);
      const number = expect.any(Number);
      const hit = {
        conversationId: 'even',
        title: 'word 0',
        number,
        role: 'user',
        at: 1008,
        excerpt: 'word 8',
      };
      expect(all).toEqual([hit]);
      const page = await store.page?.(key('even'), { limit: 1, before: (all[0]?.number ?? 0) + 1 });
      if (page) expect(page[0]?.message.content).toBe('word 8');
    });

    it('finds nothing of what is gone: retracted, dropped, forgotten, deleted, renamed', async () => {
      const store = await create(limits);
      if (!store.search) return;
      const gone = turn('gone');
      await store.append(key('c'), gone);
      await store.append(key('c'), turn('kept'));
      expect(await found(store, 'gone')).toEqual(['gone!', 'gone']);
      await store.retract?.(key('c'), gone);
      if (store.retract) expect(await found(store, 'gone')).toEqual([]);
      for (const word of ['two', 'three']) await store.append(key('c'), turn(word));
      expect(await found(store, 'kept')).toEqual([]);
      expect(await found(store, 'three')).toEqual(['three!', 'three']);
      await store.rename?.(key('c'), 'first name');
      await store.rename?.(key('c'), 'second name');
      if (store.rename) {
        expect(await found(store, 'first')).toEqual([]);
        expect(await store.search('ann', { text: 'name', limit: 9 })).toMatchObject({
          hits: [{ conversationId: 'c', title: 'second name', excerpt: 'second name' }],
        });
      }
      await store.delete(key('c'));
      for (const word of ['three', 'name']) expect(await found(store, word)).toEqual([]);
      // Whatever stands in its place later.
      for (const id of ['d', 'e', 'f', 'g']) await store.append(key(id), turn(`new ${id}`));
      for (const word of ['three', 'name', 'gone', 'kept']) expect(await found(store, word)).toEqual([]);
      expect(await found(store, 'new')).toHaveLength(6);
    });

    it('shows of a long message the part around the word', async () => {
      const store = await create({ ...limits, conversationLimitChars: 100_000 });
      if (!store.search) return;
      const content = `${'hay '.repeat(1000)}the\nNeedle ${'straw '.repeat(1000)}`;
      await store.append(key('c'), [{ role: 'user', content }]);
      const [excerpt = ''] = (await found(store, 'needle')) ?? [];
      expect(excerpt).toMatch(/^….*hay the Needle straw.*…$/);
      expect(excerpt.length).toBeLessThan(300);
    });

    it('calls a conversation by the start of what its user said first, on one line', async () => {
      const store = await create({ ...limits, conversationLimitChars: 1000 });
      const greeting: ChatMessage = { role: 'assistant', content: 'Welcome' };
      await store.append(key('c'), [greeting]);
      expect(await store.list('ann', { limit: 9 })).toMatchObject([{ title: '' }]);
      await store.append(key('c'), turn(` Good\n\t\0morning ${'🐝'.repeat(80)}`));
      const title = `Good morning ${'🐝'.repeat(66)}…`;
      for (let more = 0; more < 5; more++) await store.append(key('c'), turn('more'));
      expect(await store.list('ann', { limit: 9 })).toMatchObject([{ title }]);
    });
  });
}
