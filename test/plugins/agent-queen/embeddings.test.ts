import { describe, expect, it } from 'vitest';
import {
  type Agent,
  type AgentCall,
  type Embeddings,
  type EmbedRequest,
  embedInputLimit,
  type Limits,
  type Principal,
  WaggleError,
} from '#kernel';
import { Bus } from '../../../kernel/kernel-bus.js';
import { Registry } from '../../../kernel/registry.js';
import { type Config, config } from '../../../plugins/agent-queen/config.js';
import { Queen } from '../../../plugins/agent-queen/queen.js';
import { TokenBudget } from '../../../plugins/agent-queen/token-budget.js';
import { config as storeConfig } from '../../../plugins/store-memory/config.js';
import { MemoryStore } from '../../../plugins/store-memory/memory-store.js';
import { call, ScriptedAgent } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { deferred, rejection } from '../../support/kernel.js';

type Made = Embeddings | Error | 'wait';

/** An agent that makes embeddings, one answer after the other, the last one for all that follow. */
class Embedder extends ScriptedAgent {
  readonly embedded: EmbedRequest[] = [];
  readonly #answers: readonly unknown[];
  calls: AgentCall[] = [];

  constructor(name: string, ...answers: readonly (Made | object | null | undefined)[]) {
    super(name);
    this.#answers = answers.length > 0 ? answers : [{ embeddings: [[1, 2]] }];
  }

  async embed(request: EmbedRequest, given: AgentCall): Promise<Embeddings> {
    this.embedded.push(request);
    this.calls.push(given);
    const answer = this.#answers[Math.min(this.embedded.length, this.#answers.length) - 1];
    if (answer instanceof Error) throw answer;
    if (answer === 'wait')
      await new Promise((_, reject) =>
        given.signal.addEventListener('abort', () => reject(given.signal.reason)),
      );
    return answer as Embeddings;
  }
}

const failed = (agent: string, more: object = {}) =>
  new WaggleError('AGENT_FAILED', { agent, why: 'out of memory', ...more });
const busy = (agent: string) =>
  new WaggleError('AGENT_UNAVAILABLE', { agent, why: 'full', busy: 503, retryAfterMs: 1 });
const lacking = { code: 'AGENT_FAILED', details: { lacks: 'embeddings', refused: 400 } };
const input = ['a'];

function court(agents: readonly ScriptedAgent[], options: Partial<Config> = {}, limits?: Limits) {
  const registry = new Registry<Agent>('agent');
  const undos = agents.map((agent) => registry.add(agent, 'test'));
  const candidates = agents.map(({ name }) => name);
  const settings = config.parse({ candidates, ...options });
  const store = new MemoryStore(storeConfig.parse({}));
  const budget = limits && new TokenBudget(limits, settings);
  const queen = new Queen(settings, registry, store, new Bus(() => {}), budget);
  registry.watch(queen.answers);
  return { queen, undos, registry };
}

describe('the Queen and embeddings', () => {
  it('asks the first candidate that makes them, and says who did', async () => {
    const [talker, one, two] = [new ScriptedAgent('talker'), new Embedder('one'), new Embedder('two')];
    const { queen } = court([talker, one, two]);
    const request = { input, model: 'm', dimensions: 2, truncate: false, userId: 'ann', more: { x: 1 } };
    expect(await queen.embed(request, call())).toEqual({ embeddings: [[1, 2]], agent: 'one' });
    expect(one.embedded).toEqual([request]);
    expect(two.embedded).toEqual([]);
  });

  it('passes user, headers and connection of the call on', async () => {
    const one = new Embedder('one');
    const { queen } = court([one]);
    const about = { headers: { a: 'b' }, userId: 'ann', connection: 'c', timeoutMs: 9 };
    await queen.embed({ input }, { ...call(), ...about });
    expect(one.calls[0]).toMatchObject(about);
  });

  it('asks a healthy one first, and then the others: one without a chat model may make embeddings', async () => {
    const [ill, well] = [new Embedder('ill'), new Embedder('well', failed('well'))];
    ill.healthy = { healthy: false, detail: 'no model can chat' };
    const { queen } = court([ill, well]);
    expect(await queen.embed({ input }, call())).toMatchObject({ agent: 'ill' });
    expect(well.embedded).toHaveLength(1);
  });

  it.each<[what: string, failure: Made | object | null | undefined]>([
    ['a fault', failed('one')],
    ['an error of its own', new Error('no')],
    ['no such model', failed('one', { model: 'm' })],
    ['no embeddings after all', failed('one', { refused: 400, lacks: 'embeddings' })],
    ['that it cannot be reached', new WaggleError('AGENT_UNAVAILABLE', { agent: 'one', why: 'no' })],
    ['nothing', undefined],
    ['null', null],
    ['something else', {}],
    ['too few vectors', { embeddings: [] }],
    ['words', { embeddings: [['a']] }],
  ])('asks the next one after %s', async (_, failure) => {
    const [one, two] = [new Embedder('one', failure), new Embedder('two')];
    expect(await court([one, two]).queen.embed({ input }, call())).toMatchObject({ agent: 'two' });
    expect(one.embedded).toHaveLength(1);
    expect(await rejection(court([one]).queen.embed({ input }, call()))).toMatchObject({
      code: expect.stringMatching(/^AGENT_/),
    });
  });

  it.each<[what: string, failure: Error]>([
    ['a refusal', failed('one', { refused: 400 })],
    ['texts that are too long', new WaggleError('CONTEXT_TOO_LONG', { agent: 'one', why: 'x' })],
  ])('asks no other after %s', async (_, failure) => {
    const two = new Embedder('two');
    const { queen } = court([new Embedder('one', failure), two]);
    expect(await rejection(queen.embed({ input }, call()))).toBe(failure);
    expect(two.embedded).toEqual([]);
  });

  it('asks a busy one again, and then the next', async () => {
    const [one, two] = [new Embedder('one', busy('one'), { embeddings: [[1]] }), new Embedder('two')];
    expect(await court([one, two]).queen.embed({ input }, call())).toMatchObject({ agent: 'one' });
    const impatient = court([new Embedder('one', busy('one')), two], { busyTimeoutMs: 0 }).queen;
    expect(await impatient.embed({ input }, call())).toMatchObject({ agent: 'two' });
  });

  it('a named agent has no fallback', async () => {
    const [one, two] = [new Embedder('one', failed('one')), new Embedder('two')];
    const { queen } = court([one, two, new ScriptedAgent('talker')], { candidates: ['two'] });
    const embed = (agent: string) => queen.embed({ input, agent }, call());
    expect(await embed('queen')).toMatchObject({ agent: 'two' });
    expect(await embed('two')).toMatchObject({ agent: 'two' });
    expect(await rejection(embed('one'))).toMatchObject({ code: 'AGENT_FAILED' });
    expect(two.embedded).toHaveLength(2);
    expect(await rejection(embed('talker'))).toMatchObject(lacking);
    expect(await rejection(embed('nobody'))).toMatchObject({ code: 'AGENT_UNKNOWN' });
  });

  it.each<[what: string, agents: readonly ScriptedAgent[], error: object]>([
    ['no candidate makes them', [new ScriptedAgent('a')], lacking],
    ['only a demonstration makes them', [Object.assign(new Embedder('a'), { demo: true })], lacking],
    ['there is no candidate', [], { code: 'AGENT_UNAVAILABLE' }],
  ])('says so where %s', async (_, agents, error) => {
    const { queen } = court(agents, agents.length === 0 ? { candidates: ['x'] } : {});
    expect(await rejection(queen.embed({ input }, call()))).toMatchObject(error);
  });

  it.each([0, embedInputLimit + 1])('refuses %i texts and asks nobody', async (length) => {
    const one = new Embedder('one');
    const texts = Array.from({ length }, () => 'a');
    expect(await rejection(court([one]).queen.embed({ input: texts }, call()))).toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(one.embedded).toEqual([]);
  });

  it('an abort ends it with its reason, and no other is asked', async () => {
    const [one, two] = [new Embedder('one', 'wait'), new Embedder('two')];
    const { queen } = court([one, two]);
    const abort = new AbortController();
    const made = rejection(queen.embed({ input }, call(abort.signal)));
    await eventually(() => expect(one.embedded).toHaveLength(1));
    abort.abort(new Error('not wanted'));
    expect(await made).toBe(abort.signal.reason);
    expect(await rejection(queen.embed({ input }, call(abort.signal)))).toBe(abort.signal.reason);
    expect([one.embedded.length, two.embedded.length]).toEqual([1, 0]);
  });

  it('an agent that is unregistered meanwhile is waited for, and then left', async () => {
    const [one, two] = [new Embedder('one', 'wait'), new Embedder('two')];
    const { queen, undos } = court([one, two], { unregisterGraceMs: 50 });
    const made = queen.embed({ input }, call());
    await eventually(() => expect(one.embedded).toHaveLength(1));
    await undos[0]?.();
    expect(await made).toMatchObject({ agent: 'two' });
    expect(one.calls[0]?.signal.aborted).toBe(true);
  });

  it.each([
    ['texts', 2048, 4],
    ['requests', 1, 256],
  ])('has a limit of %s at once, and takes others once some have ended', async (_, length, limit) => {
    const texts = Array.from({ length }, () => 'a');
    const held = deferred<Embeddings>();
    const one = new Embedder('one');
    one.embed = () => held.promise;
    const { queen } = court([one]);
    const embed = () => queen.embed({ input: texts }, call());
    const all = Array.from({ length: limit }, embed);
    expect(await rejection(embed())).toMatchObject({ code: 'QUEUE_FULL', retryAfterMs: expect.any(Number) });
    held.resolve({ embeddings: texts.map(() => [1]) });
    await Promise.all(all);
    expect(await embed()).toMatchObject({ agent: 'one' });
  });

  it('keeps the reasons of model servers in the log where it is told to', async () => {
    const { queen } = court([new Embedder('one', failed('one'))], { tellFaults: false });
    const { message } = await rejection(queen.embed({ input }, call()));
    expect(message).toContain('log has the reason');
    expect(message).not.toMatch(/memory|stream/);
  });
});

describe('the tokens of embeddings', () => {
  const principal: Principal = { id: 'ann', scopes: [], limits: { tokensPerDay: 1000 } };
  /** Of 92 characters and the form of a message. */
  const texts = ['x'.repeat(92)];
  const vectors = [[1]];
  const used = (inputTokens: number) => ({ embeddings: vectors, usage: { inputTokens, outputTokens: 0 } });

  async function spent(answers: readonly unknown[], text = texts, busyTimeoutMs = 0) {
    const counted: [reserved: number, used: number][] = [];
    const limits: Limits = {
      of: ({ limits: own }) => own,
      request: () => {},
      reply: () => undefined,
      left: async () => ({}),
      tokens(_, reserved) {
        if (reserved > 1000)
          throw new WaggleError('BUDGET_EXCEEDED', {
            limit: 1000,
            wanted: reserved,
            left: 1000,
            retryAfterMs: 1,
          });
        let isSettled = false;
        return {
          settle(tokens) {
            if (!isSettled) counted.push([reserved, tokens]);
            isSettled = true;
          },
        };
      },
    };
    const agents = answers.map((answer, at) => new Embedder(`a${at}`, answer as Made));
    const { queen } = court(agents, { busyTimeoutMs }, limits);
    let code = '';
    const made = queen.embed({ input: text, principal }, call());
    await made.catch((error: WaggleError) => {
      code = error.code;
    });
    return { counted, code, asked: agents.map(({ embedded }) => embedded.length) };
  }

  it.each<[what: string, answers: readonly unknown[], tokens: number]>([
    ['as its agent tells them', [used(23)], 23],
    ['as its agent tells them, also none', [used(0)], 0],
    ['by the texts where its agent tells nothing', [{ embeddings: vectors }], 25],
    ['by the texts where its agent tells nonsense', [used(Number.NaN)], 25],
    ['not at all after a failure', [failed('a0')], 0],
    ['once where the next one answers', [failed('a0'), used(7)], 7],
  ])('are settled %s', async (_, answers, tokens) => {
    expect((await spent(answers)).counted).toEqual([[100, tokens]]);
  });

  it('are refused before anybody is asked', async () => {
    const { code, asked, counted } = await spent([used(1)], ['x'.repeat(1000)]);
    expect([code, asked, counted]).toEqual(['BUDGET_EXCEEDED', [0], []]);
  });

  it('of a user without a daily limit are not counted', async () => {
    const { queen } = court([new Embedder('one')]);
    expect(await queen.embed({ input, principal }, call())).toMatchObject({ agent: 'one' });
  });
});
