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

    it('deletes a conversation, and nothing for an unknown one', async () => {
      const store = await create(limits);
      await store.append(key('c'), turn('one'));
      await store.delete(key('c'));
      await store.delete(key('nobody'));
      expect(await store.read(key('c'))).toEqual([]);
    });
  });
}
