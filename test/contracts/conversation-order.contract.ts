import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AgentCall, ChatRequest, ChatStreams, ConversationStore, Reply, StreamChunk } from '#kernel';
import { deferred } from '#sdk';
import { done, ScriptedAgent, text } from '../support/agents.js';
import { times } from '../support/thorough.js';

/** Streams over agents, and the store of their conversations. */
type StreamsOver = (
  agents: readonly ScriptedAgent[],
  limits?: {
    readonly maxRunning?: number;
    readonly cancelTimeoutMs?: number;
    readonly maxWaitingPerConversation?: number;
  },
) => { readonly streams: ChatStreams; readonly store: ConversationStore };

const aheadIn = async (reply: Reply) => {
  const told: number[] = [];
  for await (const entries of reply.read())
    for (const { frame } of entries) if (frame.type === 'queue_update') told.push(frame.ahead);
  return told;
};

const turns = async (count: number) => {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
};

async function untilAhead(reply: Reply, ahead: number): Promise<void> {
  for await (const entries of reply.read())
    if (entries.some(({ frame }) => frame.type === 'queue_update' && frame.ahead === ahead)) return;
}

/** Answers a message such as `7 fails` after seven turns of the event loop; notes which conversations it works on. */
class Echo extends ScriptedAgent {
  readonly order: string[] = [];
  readonly at = new Map<string, number>();
  overlaps = 0;

  override async *generateResponseStream(
    { messages, userId, conversationId }: ChatRequest,
    { signal }: AgentCall,
  ): AsyncGenerator<StreamChunk> {
    const { content = '' } = messages.at(-1) ?? {};
    const key = `${userId} ${conversationId}`;
    const running = (this.at.get(key) ?? 0) + 1;
    this.at.set(key, running);
    if (running > 1) this.overlaps++;
    this.order.push(content);
    try {
      for (let left = Number.parseInt(content, 10); left > 0; left--) {
        signal.throwIfAborted();
        await new Promise(setImmediate);
      }
      if (content.includes('fails')) throw new Error('no');
      yield text(`re ${content}`);
      yield done;
    } finally {
      this.at.set(key, (this.at.get(key) ?? 1) - 1);
    }
  }
}

/** Turns of one conversation come one after the other. */
export function conversationOrderContract(streamsOver: StreamsOver): void {
  describe('turns of one conversation', () => {
    const one = { userId: 'ann', conversationId: 'c' };
    const saidIn = async (store: ConversationStore, key = one) =>
      (await store.read(key)).map(({ content }) => content);

    it('are answered and stored in the order in which they were accepted', async () => {
      const agent = new Echo('a');
      const { streams, store } = streamsOver([agent]);
      const contents = ['9 first', '3 second', '0 third'];
      const replies = await Promise.all(contents.map((content) => streams.start({ ...one, content })));
      expect(await Promise.all(replies.map(aheadIn))).toEqual([[], [1], [2, 1]]);
      expect(agent.order).toEqual(contents);
      expect(await saidIn(store)).toEqual(contents.flatMap((content) => [content, `re ${content}`]));
      expect(streams.stats).toMatchObject({ running: 0, waiting: 0 });
    });

    it('wait in a bounded number', async () => {
      const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
      const { streams } = streamsOver([agent], { maxWaitingPerConversation: 2 });
      const replies = await Promise.all(['1', '2', '3'].map((content) => streams.start({ ...one, content })));
      const more = { ...one, content: '4' };
      await expect(streams.start(more)).rejects.toThrow(expect.objectContaining({ code: 'BUSY' }));
      expect(streams.stats).toMatchObject({ running: 1, waiting: 2 });
      for (const other of [
        { ...more, userId: 'ben' },
        { ...more, conversationId: 'd' },
        { ...more, stateless: true },
      ])
        replies.push(await streams.start(other));
      await expect.poll(() => agent.running).toBe(4);
      await replies[1]?.cancel('client');
      expect(streams.stats).toMatchObject({ running: 4, waiting: 1 });
      replies.push(await streams.start(more));
      for (const reply of replies) {
        while (!reply.ended) {
          agent.release();
          await turns(1);
        }
      }
      expect(agent.requests).toHaveLength(6);
    });

    it('take no place from other conversations while they wait', async () => {
      const agent = new ScriptedAgent('a', ['wait', text('.'), done]);
      const { streams } = streamsOver([agent], { maxRunning: 2 });
      const replies = await Promise.all(['1', '2', '3'].map((content) => streams.start({ ...one, content })));
      replies.push(await streams.start({ userId: 'ben', content: 'Hi' }));
      await expect.poll(() => agent.running).toBe(2);
      expect(agent.requests.map(({ userId }) => userId)).toEqual(['ann', 'ben']);
      await Promise.all(replies.map((reply) => reply.cancel('client')));
    });

    it('come after one that was cancelled, once its end is stored', async () => {
      const agent = new ScriptedAgent('a', [text('half'), 'wait']);
      const { streams, store } = streamsOver([agent]);
      const first = await streams.start({ ...one, content: 'one' });
      const second = await streams.start({ ...one, content: 'two' });
      await untilAhead(second, 1);
      await expect.poll(() => agent.running).toBe(1);
      agent.script = [text('whole'), done];
      await first.cancel('client');
      await second.whole();
      expect(await saidIn(store)).toEqual(['one', 'half', 'two', 'whole']);
    });

    it('do not wait for ever for an agent that ignores its signal', async () => {
      const agent = new ScriptedAgent('a', ['wait']);
      const stubborn = deferred();
      agent.generateResponseStream = async function* () {
        this.requests.push({} as ChatRequest);
        if (this.requests.length === 1) await stubborn.promise;
        yield text('.');
        yield done;
      };
      const { streams } = streamsOver([agent], { cancelTimeoutMs: 20 });
      const first = await streams.start({ ...one, content: 'one' });
      await expect.poll(() => agent.requests.length).toBe(1);
      const second = await streams.start({ ...one, content: 'two' });
      await first.cancel('client');
      expect((await second.whole()).content).toBe('.');
      // One that comes after the end of the stubborn one, and before its agent has stopped.
      agent.requests.length = 0;
      const third = await streams.start({ ...one, conversationId: 'd', content: 'three' });
      await expect.poll(() => agent.requests.length).toBe(1);
      await third.cancel('client');
      const fourth = await streams.start({ ...one, conversationId: 'd', content: 'four' });
      expect((await fourth.whole()).content).toBe('.');
      stubborn.resolve();
    });

    it('are one at a time and in order, whatever becomes of the others', async () => {
      const turn = fc.record({
        user: fc.constantFrom('ann', 'ben'),
        conversation: fc.constantFrom('c', 'd'),
        ticks: fc.nat(4),
        fate: fc.constantFrom('', '', 'fails', 'is cancelled'),
        pause: fc.nat(2),
        stateless: fc.boolean(),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(turn, { minLength: 1, maxLength: 24 }), async (list) => {
          const agent = new Echo('a');
          const { streams, store } = streamsOver([agent], { maxRunning: 3, maxWaitingPerConversation: 24 });
          const replies: Reply[] = [];
          const accepted = new Map<string, string[]>();
          for (const [at, { user, conversation, ticks, fate, pause, stateless }] of list.entries()) {
            const content = `${ticks} of ${at} ${fate}`;
            const isStateless = stateless && at % 3 === 0;
            const reply = await streams.start({
              userId: user,
              conversationId: conversation,
              content,
              stateless: isStateless,
            });
            replies.push(reply);
            const key = `${user} ${conversation}`;
            if (!isStateless) accepted.set(key, [...(accepted.get(key) ?? []), content]);
            await turns(pause);
            if (fate === 'is cancelled') void reply.cancel('client');
          }
          for (const reply of replies) while (!reply.ended) await turns(1);
          await expect.poll(() => streams.stats).toMatchObject({ running: 0, waiting: 0 });
          for (const [key, contents] of accepted) {
            const [userId = '', conversationId = ''] = key.split(' ');
            const asked = (await store.read({ userId, conversationId }))
              .filter(({ role }) => role === 'user')
              .map(({ content }) => content);
            // One that was cancelled before its turn is not stored.
            expect(asked).toEqual(contents.filter((each) => asked.includes(each)));
            for (const each of contents) if (!each.includes('cancelled')) expect(asked).toContain(each);
          }
          if (list.every(({ stateless }) => !stateless)) expect(agent.overlaps).toBe(0);
        }),
        { numRuns: times(100) },
      );
    });
  });
}
