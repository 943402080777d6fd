import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  events,
  lines,
  type Script,
  type ScriptedServer,
  type Seen,
  startScriptedServer,
} from '../support/scripted-server.js';
import { type RunningServer, startServer } from '../support/server.js';
import { runPython } from './python.js';

const usage = {
  ...{ prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
  completion_tokens_details: { reasoning_tokens: 2 },
};
const used = { prompt_eval_count: 5, eval_count: 7, done_reason: 'stop' };
const name = 'get_weather';
const input = { location: 'San Francisco' };

/** What a model server says: a call where there are tools, and thoughts where they are asked for. */
const says = {
  ollama({ body }: Seen): Script {
    const line = (message: object, more: object = { done: false }) => ({
      message: { role: 'assistant', content: '', ...message },
      ...more,
    });
    const said = body.tools
      ? { tool_calls: [{ function: { name, arguments: input } }] }
      : { content: 'Hello' };
    const thought = body.think ? [line({ thinking: 'Hm' })] : [];
    return { body: lines(...thought, line(said), line({}, { done: true, ...used })) };
  },
  openai({ body }: Seen): Script {
    const delta = (part: object, finish_reason: string | null = null) => ({
      choices: [{ index: 0, delta: part, finish_reason }],
    });
    const call = {
      index: 0,
      id: 'c1',
      type: 'function',
      function: { name, arguments: JSON.stringify(input) },
    };
    const said = body.tools ? { tool_calls: [call] } : { content: 'Hello' };
    const thought = body.reasoning_effort ? [delta({ reasoning_content: 'Hm' })] : [];
    const end = delta({}, body.tools ? 'tool_calls' : 'stop');
    return { body: events(...thought, delta(said), end, { choices: [], usage }, '[DONE]') };
  },
};

/** The formats that the suite knows, a model that it takes for one that can think, and its number of tests. */
const formats: readonly (readonly [format: string, model: string, tests: number])[] = [
  ['anthropic', 'claude-sonnet-4', 9],
  ['openai-chat', 'deepseek-r1', 9],
  ['open-responses', 'deepseek-r1', 13],
];

interface Result {
  readonly id: string;
  readonly status: string;
  readonly errors?: readonly string[];
  readonly warnings?: readonly string[];
}

describe.each(['ollama', 'openai'] as const)('llm-comply, in front of %s', (agent) => {
  let model: ScriptedServer;
  let server: RunningServer;
  beforeAll(async () => {
    model = await startScriptedServer(says[agent]);
    const baseUrl = agent === 'openai' ? `${model.url}/v1` : model.url;
    const config = { plugins: { [`agent-${agent}`]: { config: { baseUrl } } } };
    server = await startServer({ config });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await model.close();
  });

  it.each(formats)(
    '%s with %s: all of its %i tests pass, without a warning',
    async (format, name, tests) => {
      const asked = ['--format', format, '-m', `${agent}/${name}`, '-k', 'any', '-u', `${server.url}/v1`];
      const { stdout, stderr } = await runPython(['-m', 'llm_comply.cli', '--json', ...asked], {
        cwd: tmpdir(),
        timeoutMs: 100_000,
      });
      expect(stderr).toBe('');
      const results: readonly Result[] = JSON.parse(stdout).results;
      expect(results.filter(({ status, warnings }) => status !== 'passed' || warnings?.length)).toEqual([]);
      expect(results).toHaveLength(tests);
    },
    110_000,
  );
});
