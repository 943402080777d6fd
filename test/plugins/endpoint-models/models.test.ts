import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AgentHealth, definePlugin, type ModelDetails } from '#kernel';
import { ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

const first = new ScriptedAgent('first');
const second = new ScriptedAgent('second');
const third = new ScriptedAgent('third');
const plugin = definePlugin({
  name: 'agents',
  apiVersion: 1,
  // Not in the order in which they are asked.
  setup: (ctx) => void [third, second, first].map((agent) => ctx.addAgent(agent)),
});

let hive: Hive;
beforeAll(async () => {
  hive = await startHive({
    plugins: [plugin],
    config: { 'agent-queen': { candidates: ['first', 'second', 'eliza'] } },
  });
});
afterAll(() => hive.close());

const down: AgentHealth = { healthy: false, detail: 'it is away' };
const up = (...modelDetails: readonly ModelDetails[]): AgentHealth => {
  const chatting = modelDetails.filter(({ capabilities }) => capabilities?.includes('completion') ?? true);
  const models = chatting.map(({ name }) => name);
  const [model] = models;
  return { healthy: true, models, modelDetails, ...(model && { model: model.replace(':latest', '') }) };
};
beforeEach(() => {
  for (const agent of [first, second, third]) agent.healthy = { healthy: true };
});

interface Listed {
  readonly id: string;
  readonly capabilities?: readonly string[];
  readonly context_length?: number;
  readonly max_model_len?: number;
}

async function listed(): Promise<readonly Listed[]> {
  return (await (await fetch(`${hive.url}/v1/models`)).json()).data;
}
const ids = async () => (await listed()).map(({ id }) => id);
async function factsOf(wanted: string) {
  const model = (await listed()).find(({ id }) => id === wanted);
  const { capabilities, context_length: length } = model ?? {};
  expect(model?.max_model_len).toBe(length);
  return { capabilities, length };
}

describe('the list of models', () => {
  it('has the Queen first, then the agents in the order in which she asks them', async () => {
    second.healthy = up({ name: 'm:latest', capabilities: ['completion'] });
    expect(await ids()).toEqual(['queen', 'first', 'second', 'second/m', 'eliza', 'third']);
  });

  it('leaves out agents that are down, and never the Queen', async () => {
    first.healthy = down;
    third.healthy = new Error('it broke');
    expect(await ids()).toEqual(['queen', 'second', 'eliza']);
  });

  it('has models that only make embeddings last, also of a server that has no other', async () => {
    const embeds: ModelDetails = { name: 'nomic', capabilities: ['embedding'], contextLength: 512 };
    first.healthy = up(embeds, { name: 'm', capabilities: ['completion', 'tools'], contextLength: 4096 });
    second.healthy = { ...up(embeds), healthy: false };
    expect(await ids()).toEqual([
      'queen',
      'first',
      'first/m',
      'first/nomic',
      'second/nomic',
      'eliza',
      'third',
    ]);
    expect(await factsOf('first/nomic')).toEqual({ capabilities: ['embedding'], length: 512 });
    expect(await factsOf('first')).toEqual({
      capabilities: ['completion', 'tools', 'embedding'],
      length: 4096,
    });
  });

  it('says of an agent what its usual model can, and of the Queen what any agent can', async () => {
    const can = (name: string, capabilities: ModelDetails['capabilities'], contextLength: number) => ({
      ...{ name, contextLength },
      ...(capabilities && { capabilities }),
    });
    first.healthy = up(can('a', ['completion', 'tools'], 8), can('b', ['completion', 'vision'], 4));
    second.healthy = up(can('c', ['completion', 'thinking'], 6));
    third.healthy = down;
    expect(await factsOf('first')).toEqual({ capabilities: ['completion', 'tools'], length: 8 });
    expect(await factsOf('queen')).toEqual({ capabilities: ['completion', 'tools', 'thinking'], length: 6 });
    expect(await factsOf('eliza')).toEqual({ capabilities: ['completion'], length: undefined });
    second.healthy = up(can('c', undefined, 6));
    expect(await factsOf('queen')).toEqual({ capabilities: undefined, length: 6 });
    expect(await factsOf('second/c')).toEqual({ capabilities: undefined, length: 6 });
  });

  it('is what one model is as well, by any of its names', async () => {
    first.healthy = up({ name: 'm:latest', capabilities: ['completion'], contextLength: 7 });
    for (const id of ['first/m', 'first/m:latest', 'first', 'first:latest', 'queen/first']) {
      const model = await (await fetch(`${hive.url}/v1/models/${id}`)).json();
      expect(model).toMatchObject({ id, capabilities: ['completion'] });
    }
    expect((await fetch(`${hive.url}/v1/models/first/other`)).status).toBe(404);
  });
});
