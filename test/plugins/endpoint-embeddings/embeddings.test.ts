import OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { definePlugin, type Embeddings, type EmbedRequest, WaggleError } from '#kernel';
import { accessPlugin } from '../../support/access.js';
import { ScriptedAgent } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { type Hive, startHive } from '../../support/hive.js';

/** Makes a vector of each text, fails, or waits until it is aborted. */
class Embedding extends ScriptedAgent {
  readonly embedded: EmbedRequest[] = [];
  next: WaggleError | 'wait' | undefined;
  usage: Embeddings['usage'];

  async embed(request: EmbedRequest, { signal }: { readonly signal: AbortSignal }): Promise<Embeddings> {
    this.embedded.push(request);
    if (this.next instanceof WaggleError) throw this.next;
    if (this.next === 'wait') {
      this.running++;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      this.running--;
      signal.throwIfAborted();
    }
    return {
      embeddings: request.input.map((text) => [text.length, 0.1, -1e-7]),
      ...(this.usage && { usage: this.usage }),
    };
  }
}

const agent = new Embedding('vectors');
const plugin = definePlugin({ name: 'vectors', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) });

let hive: Hive;
let client: OpenAI;
beforeAll(async () => {
  hive = await startHive({
    plugins: [plugin],
    config: { 'agent-queen': { candidates: ['eliza', 'vectors'], busyTimeoutMs: 0 } },
  });
  client = new OpenAI({ baseURL: `${hive.url}/v1`, apiKey: 'any', maxRetries: 0 });
});
afterAll(() => hive.close());
beforeEach(() => {
  agent.next = undefined;
  agent.usage = { inputTokens: 4, outputTokens: 0 };
  agent.embedded.length = 0;
});

const single = (number: number) => Math.fround(number);

describe('embeddings with the official client', () => {
  it.each(['vectors', 'vectors/m', 'queen', 'queen/vectors'])('come from %s', async (model) => {
    const { data, usage, ...rest } = await client.embeddings.create({ model, input: ['a', 'bee'] });
    // The client asks for base64 by itself.
    expect(data.map(({ embedding }) => [...embedding])).toEqual([
      [1, single(0.1), single(-1e-7)],
      [3, single(0.1), single(-1e-7)],
    ]);
    expect(data.map(({ index }) => index)).toEqual([0, 1]);
    expect(usage).toEqual({ prompt_tokens: 4, total_tokens: 4 });
    expect(rest).toMatchObject({ object: 'list', model: model === 'queen' ? 'queen/vectors' : model });
    expect(agent.embedded.at(-1)?.model).toBe(model === 'vectors/m' ? 'm' : undefined);
  });

  it('are numbers where it asks for numbers, and know the options', async () => {
    const asked = {
      model: 'vectors',
      input: 'a',
      encoding_format: 'float',
      dimensions: 3,
      user: 'u',
    } as const;
    const { data } = await client.embeddings.create({ ...asked, ...({ input_type: 'query' } as object) });
    expect(data[0]?.embedding).toEqual([1, 0.1, -1e-7]);
    expect(agent.embedded.at(-1)).toMatchObject({
      dimensions: 3,
      userId: 'u',
      more: { input_type: 'query' },
    });
  });

  it('have no usage where it is not known', async () => {
    agent.usage = undefined;
    expect(await client.embeddings.create({ model: 'vectors', input: 'a' })).not.toHaveProperty('usage');
  });

  const failure = (code: 'AGENT_UNAVAILABLE', more: object = {}) =>
    new WaggleError(code, { agent: 'vectors', why: 'full', ...more });
  const tooMany = Array.from({ length: 2049 }, () => 'a');
  it.each<[string, object, WaggleError | undefined, new (...args: never[]) => Error, RegExp]>([
    ['a model that is not there', { model: 'nope' }, undefined, OpenAI.NotFoundError, /'nope' not found/],
    [
      'an agent that makes none',
      { model: 'eliza' },
      undefined,
      OpenAI.BadRequestError,
      /makes no embeddings/,
    ],
    ['no input', { input: [] }, undefined, OpenAI.BadRequestError, /input: expected 1 to 2048/],
    ['too many inputs', { input: tooMany }, undefined, OpenAI.BadRequestError, /input.*2048/],
    ['tokens', { input: [1, 2] }, undefined, OpenAI.BadRequestError, /not tokens/],
    ['lists of tokens', { input: [[1], [2]] }, undefined, OpenAI.BadRequestError, /not tokens/],
    ['another encoding', { encoding_format: 'hex' }, undefined, OpenAI.BadRequestError, /encoding_format/],
    ['a busy server', {}, failure('AGENT_UNAVAILABLE', { busy: 429 }), OpenAI.RateLimitError, /full/],
    ['a server that is away', {}, failure('AGENT_UNAVAILABLE'), OpenAI.InternalServerError, /full/],
  ])('get the error that it knows for %s', async (_, more, next, error, message) => {
    agent.next = next;
    const failed = client.embeddings.create({ model: 'vectors', input: 'a', ...more } as never);
    await expect(failed).rejects.toBeInstanceOf(error);
    await expect(failed).rejects.toThrow(message);
  });

  it('stop the agent when it leaves', async () => {
    agent.next = 'wait';
    const leaving = new AbortController();
    const asked = client.embeddings.create({ model: 'vectors', input: 'a' }, { signal: leaving.signal });
    asked.catch(() => {});
    await eventually(() => expect(agent.running).toBe(1));
    leaving.abort();
    await eventually(() => expect(agent.running).toBe(0));
  });

  it('belong to the user of the credentials', async () => {
    const closed = await startHive({ plugins: [plugin, accessPlugin()] });
    const asked = { model: 'vectors', input: 'a' };
    const by = (apiKey: string) => new OpenAI({ baseURL: `${closed.url}/v1`, apiKey, maxRetries: 0 });
    await by('token-of-ann').embeddings.create(asked);
    expect(agent.embedded.at(-1)).toMatchObject({ userId: 'ann' });
    const other = by('token-of-ann').embeddings.create({ ...asked, user: 'bob' });
    await expect(other).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError);
    await expect(by('wrong').embeddings.create(asked)).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    await closed.close();
  });
});
