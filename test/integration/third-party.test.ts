import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runWaggle, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const parrot = `import { BaseAgent, definePlugin } from 'waggle-server';

class Parrot extends BaseAgent {
  name = 'parrot';
  constructor(greeting) {
    super();
    this.greeting = greeting;
  }
  async *generateResponseStream({ messages }) {
    yield { type: 'text', content: this.greeting + ' ' };
    yield [{ type: 'text', content: messages.at(-1).content }, { type: 'done', reason: 'stop' }];
  }
}

export default definePlugin({
  name: 'agent-parrot',
  apiVersion: 1,
  setup(ctx) {
    ctx.addAgent(new Parrot(ctx.config.greeting));
  },
});
`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'third-party-'));
  await mkdir(join(folder, 'parrot'));
  await writeFile(join(folder, 'parrot', 'package.json'), '{"type":"module","exports":"./main.js"}');
  await writeFile(join(folder, 'parrot', 'main.js'), parrot);
  await mkdir(join(folder, 'extensions'));
  await writeFile(join(folder, 'extensions', 'parrot.mjs'), parrot);
});
afterAll(() => rm(folder, { recursive: true }));

async function askParrot(config: object) {
  const server = await startServer({ config });
  const client = await WsClient.connect(`${server.ws}/test`);
  const frames = await client.ask({ content: 'good morning', agent: 'parrot' });
  await client.close();
  expect(await server.stop()).toBe(0);
  return frames;
}

describe("a third party's agent in a folder outside the repository", () => {
  it('answers over the WebSocket as soon as a config names its folder', async () => {
    const frames = await askParrot({
      plugins: { parrot: { use: join(folder, 'parrot'), config: { greeting: 'Ahoy' } } },
    });
    expect(frames[0]).toMatchObject({ type: 'streaming_start', agent: 'parrot' });
    expect(textOf(frames)).toBe('Ahoy good morning');
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'parrot' });
  });

  it('answers as well when it is dropped into the extensions folder', async () => {
    const frames = await askParrot({
      extensions: join(folder, 'extensions'),
      plugins: { parrot: { config: { greeting: 'Hi' } } },
    });
    expect(textOf(frames)).toBe('Hi good morning');
  });

  it('can be put before the others', async () => {
    const server = await startServer({
      config: {
        plugins: {
          parrot: { use: join(folder, 'parrot'), config: { greeting: 'Ahoy' } },
          'agent-queen': { config: { candidates: ['parrot', 'eliza'] } },
        },
      },
    });
    const client = await WsClient.connect(`${server.ws}/test`);
    expect((await client.ask({ content: 'x' }))[0]).toMatchObject({ agent: 'parrot' });
    await client.close();
    expect(await server.stop()).toBe(0);
  });
});

describe("a third party's agent in TypeScript", () => {
  const files = {
    'extensions/parrot.ts': `import { type AgentCall, BaseAgent, type ChatRequest, definePlugin, type StreamChunk } from 'waggle-server';
import { greeting } from './words/greeting.js';

interface Unused {
  readonly gone: true;
}

class Parrot extends BaseAgent {
  readonly name = 'parrot';
  async *generateResponseStream({ messages }: ChatRequest, _: AgentCall): AsyncIterable<StreamChunk[]> {
    const content = messages.at(-1)!.content;
    if (content === 'fail') setImmediate(() => { throw new Error('on line 12'); });
    yield [{ type: 'text', content: greeting + content }, { type: 'done', reason: 'stop' }];
  }
}

export default definePlugin({
  name: 'agent-parrot',
  apiVersion: 1,
  setup: (ctx) => void ctx.addAgent(new Parrot()),
});
`,
    'extensions/words/greeting.ts': `export const greeting: string = 'Ahoy ';`,
  };

  it('answers without a build, and its errors name it, its file and its line', async () => {
    const server = await startServer({ files });
    const client = await WsClient.connect(`${server.ws}/test`);
    expect(textOf(await client.ask({ content: 'good morning', agent: 'parrot' }))).toBe('Ahoy good morning');
    client.send({ type: 'stream_request', content: 'fail', agent: 'parrot' });
    const { plugin, err } = await server.untilLog((line) => line.level === 'fatal');
    expect(plugin).toBe('parrot');
    expect(err).toMatchObject({ stack: expect.stringMatching(/parrot\.ts:12:/) });
    expect(await server.exited).toBe(1);
  });

  it('that cannot be read ends the start with one line that says where', async () => {
    const broken = { ...files, 'extensions/words/greeting.ts': `\nexport const greeting: string = ;` };
    const run = await runWaggle('start', { files: broken });
    expect(await run.exited).toBe(1);
    expect(run.stderr).toMatch(
      /^waggle: plugin "parrot" failed during import: \S+greeting\.ts:2:33: Unexpected token\n$/,
    );
  });
});

describe('a platform where the native transport cannot be loaded', () => {
  it('is served by transport-node, with the same config, and the log says why', async () => {
    const server = await startServer({
      config: { plugins: { 'transport-uws': { use: './native.js' } } },
      files: { 'native.js': `import './uws_linux_x64_999.node'; export default {};` },
    });
    expect(server.logs.find((line) => line.fallback === 'transport-node')).toMatchObject({
      level: 'warn',
      plugin: 'transport-uws',
      node: process.version,
      why: expect.stringContaining('uws_linux_x64_999.node'),
    });
    const client = await WsClient.connect(`${server.ws}/test`);
    expect((await client.ask({ content: 'Hallo' })).at(-1)?.type).toBe('streaming_end');
    await client.close();
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});
