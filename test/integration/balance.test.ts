import { describe, expect, it } from 'vitest';
import { type AgentHealth, WaggleError } from '#kernel';
import agentOllama from '../../plugins/agent-ollama/index.js';
import { eventually } from '../support/eventually.js';
import { answerIn } from '../support/model-script.js';
import { ScriptedModel, say } from '../support/scripted-model.js';
import { startScriptedServer } from '../support/scripted-server.js';
import { ToolHive } from '../support/tool-hive.js';
import type { WsClient } from '../support/ws-client.js';

const server = new ToolHive();
const group = { candidates: [['gpu-1', 'gpu-2'], 'spare'], tools: [] };

/** A model that answers when it is released. */
class Gpu extends ScriptedModel {
  readonly #open: (() => void)[] = [];
  health?: (signal: AbortSignal) => Promise<AgentHealth>;
  loadedModels?: () => Promise<readonly string[]>;
  checks = 0;

  constructor(name: string, isSlow = true) {
    super(name, async function* (this: unknown) {
      if (isSlow) await gpu.#wait();
      yield say(name);
    });
    const gpu = this;
  }

  release(): void {
    for (const go of this.#open.splice(0)) go();
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => this.#open.push(resolve));
  }
}

const spare = () => new ScriptedModel('spare', [[say('spare')]]);

async function begin(client: WsClient, count: number): Promise<void> {
  for (let index = 0; index < count; index++) client.send({ type: 'stream_request', content: 'Hi' });
}

describe('a group of agents', () => {
  it('shares the work: the least busy one is asked first', async () => {
    const gpus = [new Gpu('gpu-1'), new Gpu('gpu-2')] as const;
    await server.start([...gpus, spare()], [], group);
    const client = await server.client();
    await begin(client, 10);
    await eventually(() => expect(gpus.map(({ running }) => running)).toEqual([5, 5]));
    for (const gpu of gpus) gpu.release();
    await eventually(() => expect(gpus.map(({ running }) => running)).toEqual([0, 0]));
  });

  it('prefers, among the least busy, one that has the model in memory', async () => {
    const gpus = [new Gpu('gpu-1', false), new Gpu('gpu-2', false)] as const;
    gpus[0].loadedModels = async () => ['other'];
    gpus[1].loadedModels = async () => ['qwen3:latest'];
    await server.start([...gpus, spare()], [], group);
    await server.ask({ model: 'qwen3' });
    const [first] = await server.ask({ model: 'qwen3' });
    expect(first).toMatchObject({ agent: 'gpu-2' });
    expect((await server.ask({ model: 'other' }))[0]).toMatchObject({ agent: 'gpu-1' });
  });

  it('asks Ollama which models it has in memory', async () => {
    const servers = await Promise.all(
      ['other', 'm'].map((loaded) =>
        startScriptedServer(answerIn('ollama', { text: loaded }), {
          gets: () => ({
            body: JSON.stringify({ version: '0.12.0', models: [{ name: loaded, model: loaded }] }),
          }),
        }),
      ),
    );
    const config = Object.fromEntries(
      servers.map(({ url }, index) => [
        `agent-ollama-${index}`,
        { name: `gpu-${index + 1}`, baseUrl: url, model: 'm' },
      ]),
    );
    const plugins = servers.map((_, index) => ({ ...agentOllama, name: `agent-ollama-${index}` }));
    await server.start([spare()], [], group, { plugins, config });
    await eventually(async () =>
      expect((await server.ask({ model: 'm' }))[0]).toMatchObject({ agent: 'gpu-2' }),
    );
    for (const each of servers) await each.close();
  });

  it('leaves out one that is down, and no request waits for it', async () => {
    const gpus = [new Gpu('gpu-1', false), new Gpu('gpu-2', false)] as const;
    const [down] = gpus;
    let checks = 0;
    down.health = (signal) => {
      checks++;
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve({ healthy: false })));
    };
    await server.start([...gpus, spare()], [], { ...group, healthTimeoutMs: 60 });
    await eventually(async () => expect((await server.ask())[0]).toMatchObject({ agent: 'gpu-2' }));
    for (let index = 0; index < 20; index++)
      expect((await server.ask())[0]).toMatchObject({ agent: 'gpu-2' });
    expect(down.requests).toHaveLength(0);
    expect(checks).toBeLessThan(10);
  });

  it('asks another one at once where one is full', async () => {
    const full = new ScriptedModel('gpu-1', () => {
      throw new WaggleError('AGENT_UNAVAILABLE', {
        agent: 'gpu-1',
        why: 'full',
        busy: 503,
        retryAfterMs: 60_000,
      });
    });
    await server.start([full, new Gpu('gpu-2', false), spare()], [], group);
    const frames = await server.ask();
    expect(frames[0]).toMatchObject({ type: 'streaming_start', agent: 'gpu-2' });
  });

  it('is followed by the next candidate where all have failed, and asked all the same where none is healthy', async () => {
    const failing = (name: string) => {
      const gpu = new Gpu(name);
      gpu.health = async () => ({ healthy: false, detail: 'down' });
      gpu.turn = () => {
        throw new WaggleError('AGENT_UNAVAILABLE', { agent: name, why: 'down' });
      };
      return gpu;
    };
    const gpus = [failing('gpu-1'), failing('gpu-2')];
    const last = new Gpu('spare', false);
    await server.start([...gpus, last], [], group);
    expect((await server.ask()).at(-1)).toMatchObject({ agent: 'spare' });
    // Whatever its check says, it answers.
    last.health = async () => ({ healthy: false, detail: 'wrong' });
    await server.hive.close();
    await server.start([...gpus, last], [], group);
    expect((await server.ask()).at(-1)).toMatchObject({ agent: 'spare' });
    expect(gpus.every(({ requests }) => requests.length > 0)).toBe(true);
  });
});

describe('the candidate *', () => {
  it('is every agent that is not listed', async () => {
    const third = new ScriptedModel('third-party', [[say('me')]]);
    await server.start([third], [], { candidates: ['nobody', '*'], tools: [] });
    expect((await server.ask())[0]).toMatchObject({ agent: expect.stringMatching(/third-party|eliza/) });
  });
});
