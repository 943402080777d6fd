import { describe, expect, it } from 'vitest';
import {
  type ChatChunk,
  type ChatRequest,
  type ChatSink,
  type Limits,
  type Principal,
  type StreamChunk,
  WaggleError,
} from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { type Config, config } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { TokenBudget } from '../../../plugins/agent-queen/token-budget.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { call, done, ScriptedAgent, type Step, text } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { rejection } from '../../support/kernel.js';

const key = { userId: 'ann', conversationId: 'c1' };
const principal: Principal = { id: 'ann', scopes: [], limits: { tokensPerDay: 100_000 } };
const command = { id: 'r1', ...key, principal, content: 'x'.repeat(92) };
/** Of `command`. */
const inputBytes = 100;
const unreported = { type: 'done', reason: 'stop' } as StreamChunk;
const told = (inputTokens: number, outputTokens: number): StreamChunk => ({
  type: 'done',
  reason: 'stop',
  usage: { inputTokens, outputTokens },
});
const down = new WaggleError('AGENT_UNAVAILABLE', { agent: 'a', why: 'no' });

/** A Queen whose limits remember what was reserved and settled. */
function court(script: readonly Step[], options: Partial<Config> = {}, more: readonly ScriptedAgent[] = []) {
  const agent = new ScriptedAgent('a', script);
  const agents = new Registry<ScriptedAgent>('agent');
  for (const each of [agent, ...more]) agents.add(each, 'test');
  const reserved: number[] = [];
  const settled: number[] = [];
  let budget = 100_000;
  const limits: Limits = {
    of: ({ limits }) => limits,
    request: () => {},
    reply: () => undefined,
    left: async () => ({}),
    async tokens(_, tokens) {
      if (tokens > budget)
        throw new WaggleError('BUDGET_EXCEEDED', {
          limit: budget,
          wanted: tokens,
          left: budget,
          retryAfterMs: 1,
        });
      reserved.push(tokens);
      let isSettled = false;
      return {
        settle(used) {
          if (!isSettled) settled.push(used);
          isSettled = true;
        },
      };
    },
  };
  const candidates = [...agents].map(({ name }) => name);
  const settings = config.parse({ candidates, ...options });
  const store = new MemoryStore(storeConfig.parse({}));
  const queen = new Queen(settings, agents, store, new Bus(() => {}), new TokenBudget(limits, settings));
  const written: ChatChunk['type'][] = [];
  const sink: ChatSink & { onWrite?: () => void } = {
    text: '',
    write(batch) {
      written.push(...batch.map(({ type }) => type));
      this.onWrite?.();
    },
  };
  return {
    queen,
    agent,
    store,
    sink,
    reserved,
    settled,
    written,
    spend: (tokens: number) => {
      budget = tokens;
    },
  };
}

describe('the tokens of a reply', () => {
  it.each<[what: string, script: readonly Step[], used: number]>([
    ['as its agent tells them', [text('a'), text('b'), told(20, 30)], 50],
    ['as its agent tells them, also above the reservation', [text('a'), told(9000, 30)], 9030],
    ['by its text where its agent tells nothing', [text('a'), text(''), text('b'), unreported], 25 + 2],
    ['by its text where its agent tells nonsense', [text('a'), told(Number.NaN, 3)], 25 + 1],
    ['by its text where its agent tells less than nothing', [text('a'), told(-100, 3)], 25 + 1],
    ['by its text after a failure', [text('a'), new Error('no')], 25 + 1],
    ['not at all after a failure without an answer', [down], 0],
    ['as told after an end without an answer', [told(20, 0)], 20],
  ])('are settled %s', async (_, script, used) => {
    for (const stateless of [false, true]) {
      const { queen, sink, reserved, settled } = court(script);
      await queen.reply({ ...command, stateless }, call(), sink).catch(() => {});
      expect(reserved).toEqual([inputBytes + 4096]);
      expect(settled).toEqual([used]);
    }
  });

  it.each([
    ['before its first token', 'wait' as const, 25],
    ['after two pieces', [text('a'), text('b')], 25 + 2],
  ])('are settled by its text after a cancel %s', async (_, first, used) => {
    const { queen, agent, sink, settled, written } = court([first, 'wait', done]);
    const abort = new AbortController();
    const reply = queen.reply(command, call(abort.signal), sink);
    await eventually(() => expect([agent.running, written.length]).toEqual([1, first === 'wait' ? 0 : 3]));
    expect(settled).toEqual([]);
    abort.abort();
    await reply.catch(() => {});
    expect(settled).toEqual([used]);
  });

  it('are never estimated above the reservation', async () => {
    const many = Array.from({ length: 200 }, () => text('a'));
    const { queen, sink, settled } = court([many, unreported]);
    await queen.reply({ ...command, options: { maxTokens: 1 } }, call(), sink);
    expect(settled).toEqual([inputBytes + 1]);
  });

  it('are settled before the client learns of the end', async () => {
    const { queen, sink, settled, written } = court([text('a'), told(1, 2)]);
    const atEnd: number[] = [];
    sink.onWrite = () => {
      if (written.at(-1) === 'done') atEnd.push(...settled);
    };
    await queen.reply(command, call(), sink);
    expect(atEnd).toEqual([3]);
  });

  it('are reserved once, also where a second agent answers', async () => {
    const second = new ScriptedAgent('b', [text('a'), told(3, 4)]);
    const { queen, sink, reserved, settled } = court([down], {}, [second]);
    await queen.reply(command, call(), sink);
    expect(reserved).toHaveLength(1);
    expect(settled).toEqual([7]);
    expect(second.requests[0]?.options).toEqual({ maxTokens: 4096 });
  });

  it('are given back where no agent is asked', async () => {
    const { queen, sink, settled } = court([]);
    await rejection(queen.reply({ ...command, agent: 'nobody' }, call(), sink));
    expect(settled).toEqual([0]);
  });

  it('are refused before an agent is asked and anything is stored', async () => {
    const { queen, agent, store, sink, written, spend } = court([text('a'), done]);
    spend(inputBytes + 4095);
    expect(await rejection(queen.reply(command, call(), sink))).toMatchObject({
      code: 'BUDGET_EXCEEDED',
      details: { wanted: inputBytes + 4096 },
    });
    expect(agent.requests).toEqual([]);
    expect(written).toEqual([]);
    expect(await store.read(key)).toEqual([]);
    spend(inputBytes + 4096);
    await queen.reply(command, call(), sink);
  });
});

describe('the reservation', () => {
  const system = { role: 'system', content: 'be kind' } as const;
  const tools = [{ name: 'f', parameters: { type: 'object' } }];
  const toolCalls = [{ id: '1', name: 'f', arguments: '{}' }];
  const image = 'data:image/png;base64,AAAA';

  it.each<[what: string, asked: Partial<ChatRequest>, bytes: number]>([
    ['bytes, not characters', { messages: [{ role: 'user', content: 'äö€' }] }, 8 + 7],
    ['each message', { messages: [system, { role: 'user', content: 'Hi' }] }, 8 + 7 + 8 + 2],
    ['tools', { messages: [], options: { tools } }, JSON.stringify(tools).length],
    ['a schema', { messages: [], options: { format: { type: 'object' } } }, '{"type":"object"}'.length],
    [
      'tool calls',
      { messages: [{ role: 'assistant', content: '', toolCalls }] },
      8 + JSON.stringify({ toolCalls }).length,
    ],
    ['images', { messages: [{ role: 'user', content: 'Hi', images: [image, image] }] }, 8 + 2 + 2 * 4096],
    [
      'parts',
      {
        messages: [
          {
            role: 'user',
            content: 'Hi',
            parts: [
              { type: 'text', text: 'Hi' },
              { type: 'image', url: image },
              { type: 'other', value: { type: 'x' } },
              { type: 'other', value: { data: 'y'.repeat(100_000) } },
            ],
          },
        ],
      },
      8 + 2 + 4096 + '{"type":"x"}'.length + 32_768,
    ],
  ])('counts %s', async (_, { messages = [], options }, bytes) => {
    const { queen, sink, reserved } = court([text('a'), done]);
    const asked = { ...command, messages, stateless: true, ...(options && { options }) };
    await queen.reply(asked, call(), sink).catch(() => {});
    expect(reserved).toEqual([bytes + 4096]);
  });

  it('counts the system prompt and what was said before', async () => {
    const { queen, sink, reserved } = court([[text('four'), done]], { systemPrompt: 'Be kind' });
    await queen.reply(command, call(), sink);
    await queen.reply(command, call(), sink);
    const first = 8 + 7 + inputBytes;
    expect(reserved).toEqual([first + 4096, first + (8 + 4) + inputBytes + 4096]);
  });

  it.each([
    [{ maxTokens: 7 }, 7],
    [undefined, 10],
  ])('limits the answer upstream: %j', async (options, maxTokens) => {
    const { queen, agent, sink, reserved } = court([text('a'), done], { maxTokens: 10 });
    await queen.reply({ ...command, ...(options && { options }) }, call(), sink);
    expect(reserved).toEqual([inputBytes + maxTokens]);
    expect(agent.requests[0]?.options).toEqual({ maxTokens });
  });

  it.each<[who: string, principal: Principal | undefined]>([
    ['without credentials', undefined],
    ['without limits', { id: 'ann', scopes: [] }],
    ['with other limits', { id: 'ann', scopes: [], limits: { repliesAtOnce: 1 } }],
  ])('is not made for a user %s', async (_, principal) => {
    const { queen, agent, sink, reserved } = court([text('a'), done]);
    await queen.reply({ ...command, principal }, call(), sink);
    expect(reserved).toEqual([]);
    expect(agent.requests[0]).not.toHaveProperty('options');
  });

  it('are reserved for each further turn and each agent that is asked, and settled as all have told', async () => {
    const b = new ScriptedAgent('b', [text('b'), told(3, 4)]);
    const calls = { type: 'tool_call', id: 'c', name: 'consult_b', arguments: '{"question":"?"}' } as const;
    const { queen, agent, sink, reserved, settled } = court(
      [calls, told(100, 10)],
      { maxSteps: 2, delegates: ['b'] },
      [b],
    );
    await queen.reply(command, call(), sink);
    expect([agent.requests.length, b.requests.length]).toEqual([3, 2]);
    expect(reserved).toHaveLength(5);
    expect(settled.reduce((sum, each) => sum + each)).toBe(3 * 110 + 2 * 7);
    expect(b.requests[0]?.options).toEqual({ maxTokens: 4096 });
  });

  it('end the reply where the day does not suffice for its next turn', async () => {
    const calls = { type: 'tool_call', id: 'c', name: 'made_up', arguments: '{}' } as const;
    const b = new ScriptedAgent('b', [text('b'), done]);
    const { queen, agent, sink, settled, reserved, spend } = court(
      [calls, told(100, 10)],
      { delegates: ['b'] },
      [b],
    );
    sink.onWrite = () => spend(1);
    expect(await rejection(queen.reply(command, call(), sink))).toMatchObject({ code: 'BUDGET_EXCEEDED' });
    expect(agent.requests).toHaveLength(1);
    expect([reserved.length, settled.length]).toEqual([1, 1]);
  });
});
