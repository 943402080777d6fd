import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import agentOllama from '../../plugins/agent-ollama/index.js';
import agentOpenai from '../../plugins/agent-openai/index.js';
import endpointOverview from '../../plugins/endpoint-overview/index.js';
import { doors } from '../support/doors.js';
import { type Hive, startHive } from '../support/hive.js';
import { events, lines, type ScriptedServer, startScriptedServer } from '../support/scripted-server.js';

const json = { 'content-type': 'application/json' };
const answers = {
  openai: events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] }, '[DONE]'),
  ollama: lines({ message: { content: 'Hi' }, done: true, done_reason: 'stop' }),
};

/** Lists of models whose first one does not chat. */
const lists: Readonly<Record<string, readonly [dialect: keyof typeof answers, list: object, chats: string]>> =
  {
    capabilities: [
      'ollama',
      {
        models: [
          { name: 'a', capabilities: ['embedding'] },
          { name: 'embed-but-chats', capabilities: ['completion'] },
        ],
      },
      'embed-but-chats',
    ],
    family: [
      'ollama',
      {
        models: [
          { name: 'a', details: { family: 'nomic-bert' } },
          { name: 'b', details: { family: 'llama' } },
        ],
      },
      'b',
    ],
    tags: ['ollama', { models: [{ name: 'nomic-embed-text' }, { name: 'b' }] }, 'b'],
    types: [
      'openai',
      {
        data: [
          { id: 'a', type: 'embeddings' },
          { id: 'b', type: 'llm' },
        ],
      },
      'b',
    ],
    names: ['openai', { data: [{ id: 'text-embedding-3-small' }, { id: 'BAAI/bge-m3' }, { id: 'b' }] }, 'b'],
  };

let hive: Hive;
const servers: Record<string, ScriptedServer> = {};

beforeAll(async () => {
  hive = await startHive({ plugins: [endpointOverview] });
  for (const [name, [dialect, list]] of Object.entries(lists)) {
    const server = await startScriptedServer(
      { body: answers[dialect] },
      { gets: { headers: json, body: JSON.stringify({ version: '1', ...list }) } },
    );
    servers[name] = server;
    await hive.kernel.load(dialect === 'openai' ? agentOpenai : agentOllama, {
      id: `agent-${name}`,
      config: { name, baseUrl: server.url },
    });
  }
});
afterAll(async () => {
  await hive.close();
  for (const server of Object.values(servers)) await server.close();
});

describe.each(Object.entries(lists))('of a server whose %s tell what is for chat', (name, [, , chats]) => {
  it.each(Object.keys(doors))('a model that chats answers at %s', async (door) => {
    expect(await doors[door]?.(hive, name, '')).toMatchObject({ text: 'Hi', reason: 'stop' });
    expect(servers[name]?.chats.at(-1)?.body.model).toBe(chats);
  });

  it('no other is offered', async () => {
    const { data } = await (await fetch(`${hive.url}/v1/models`)).json();
    const listed: readonly { readonly id: string; readonly capabilities?: readonly string[] }[] = data;
    const offered = listed.filter(({ id }) => id.startsWith(`${name}/`));
    const [first, ...others] = offered;
    expect(first?.id).toBe(`${name}/${chats}`);
    // For clients that look for embeddings.
    for (const { capabilities } of others) expect(capabilities).toEqual(['embedding']);
    const { agents } = await (await fetch(`${hive.url}/agents`)).json();
    expect(agents.find((agent: { readonly name: string }) => agent.name === name)).toMatchObject({
      healthy: true,
      models: [chats],
    });
  });
});
