import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import agentOllama from '../../../plugins/agent-ollama/index.js';
import { done, text } from '../../support/agents.js';
import { eventually } from '../../support/eventually.js';
import { type Hive, startHive } from '../../support/hive.js';
import { look, StageAgent, think, withAgent } from './stage.js';

const agent = new StageAgent('stage');
let last: Hive;
let first: Hive;
beforeAll(async () => {
  last = await startHive({ plugins: [withAgent(agent)] });
  const config = { 'agent-ollama': { baseUrl: last.url } };
  first = await startHive({ plugins: [agentOllama], config });
});
afterAll(async () => {
  await first.close();
  await last.close();
});
beforeEach(() => {
  agent.script = [text('Hello '), text('there'), done];
});

const ask = (body: object, signal?: AbortSignal) =>
  fetch(`${first.url}/api/chat`, {
    method: 'POST',
    body: JSON.stringify({ model: 'ollama/stage', messages: [{ role: 'user', content: 'Hallo' }], ...body }),
    ...(signal && { signal }),
  });

describe('Waggle as the Ollama of another one', () => {
  it('lists its models, with what they can do', async () => {
    const { data } = await (await fetch(`${first.url}/v1/models`)).json();
    expect(data.map(({ id }: { id: string }) => id)).toEqual(
      expect.arrayContaining(['ollama', 'ollama/queen', 'ollama/stage']),
    );
    const { capabilities } = await (
      await fetch(`${first.url}/api/show`, { method: 'POST', body: '{"model":"ollama/stage"}' })
    ).json();
    expect(capabilities).toEqual(['completion', 'tools']);
  });

  it('passes on text, thinking, figures and options', async () => {
    agent.script = [think('Hm'), text('Hi'), done];
    const options = { num_predict: 9, num_ctx: 512, top_k: 3 };
    const answer = await (await ask({ stream: false, think: true, options, keep_alive: '1h' })).json();
    expect(answer).toMatchObject({
      model: 'ollama/stage',
      message: { content: 'Hi', thinking: 'Hm' },
      prompt_eval_count: 1,
      eval_count: 2,
    });
    expect(agent.requests.at(-1)?.options).toMatchObject({
      maxTokens: 9,
      more: { top_k: 3 },
      providerOptions: { ollama: { think: true, keep_alive: '1h', options: { num_ctx: 512 } } },
    });
  });

  it('passes on calls of tools digit for digit, and their results', async () => {
    const args = '{"id":12345678901234567890}';
    const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object' } } }];
    agent.script = [look(args), { type: 'done', reason: 'tool_calls' }];
    const answer = await (await ask({ stream: false, tools })).text();
    expect(answer).toContain(`"arguments":${args}`);
    const call = `{"function":{"name":"look","arguments":${args}}}`;
    agent.script = [text('Fine'), done];
    await (
      await fetch(`${first.url}/api/chat`, {
        method: 'POST',
        body: `{"model":"ollama/stage","messages":[{"role":"user","content":"Hi"},
          {"role":"assistant","tool_calls":[${call}]},{"role":"tool","content":"25","tool_name":"look"}]}`,
      })
    ).text();
    expect(agent.requests.at(-1)?.messages).toMatchObject([
      { role: 'user' },
      { role: 'assistant', toolCalls: [{ name: 'look', arguments: args }] },
      { role: 'tool', content: '25', toolName: 'look' },
    ]);
  });

  it('stops the last agent when the client leaves', async () => {
    agent.script = [text('Hi'), 'wait'];
    const leaving = new AbortController();
    const response = await ask({}, leaving.signal);
    await response.body?.getReader().read();
    expect(agent.running).toBe(1);
    leaving.abort();
    await eventually(() => expect(agent.running).toBe(0));
  });

  it('says why the last agent has failed, as a last line', async () => {
    agent.script = [text('Hi'), new Error('it broke')];
    const lines = (await (await ask({})).text()).trim().split('\n');
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ error: expect.any(String) });
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: { content: 'Hi' } });
  });

  it('makes embeddings', async () => {
    const body = JSON.stringify({ model: 'ollama/stage', input: ['a', 'bee'] });
    const answer = await (await fetch(`${first.url}/api/embed`, { method: 'POST', body })).json();
    expect(answer.embeddings).toEqual([
      [1, 0.25],
      [3, 0.25],
    ]);
  });
});
