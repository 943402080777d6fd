import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../support/server.js';
import { outline } from '../support/tool-hive.js';
import { textOf, WsClient } from '../support/ws-client.js';
import { RealServer } from './real-server.js';

const extension = `
import { definePlugin } from 'waggle-server';
import { z } from 'zod';

export default definePlugin({
  name: 'clock',
  apiVersion: 1,
  setup(ctx) {
    ctx.registerTask({
      name: 'current:time',
      description: 'The time of day',
      tool: true,
      lane: 'main',
      input: z.object({ zone: z.string() }),
      run: ({ zone }) => ({ zone, time: '12:00' }),
    });
  },
});
`;

describe('a real Ollama', () => {
  let ollama: RealServer;
  let server: RunningServer;
  beforeAll(async () => {
    ollama = await RealServer.start({ program: 'ollama' });
    server = await startServer({
      files: { 'extensions/clock.js': extension },
      config: {
        plugins: {
          'agent-ollama': { config: { baseUrl: ollama.url } },
          'agent-queen': { config: { candidates: ['ollama'], tools: ['current:*'], maxSteps: 2 } },
        },
      },
    });
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
    await ollama.close();
  });

  const ask = async (frame: object) => {
    const client = await WsClient.connect(`${server.ws}/ann`);
    const frames = await client.ask({ content: 'What time is it in Oslo?', ...frame });
    await client.close();
    return frames;
  };

  it('has its tool called by the server, and is asked without tools in the end', async () => {
    const frames = await ask({ model: 'tool' });
    expect(outline(frames).slice(0, 5)).toEqual([
      'start',
      'tool_call current:time',
      'tool_result current:time',
      'tool_call current:time',
      'tool_result current:time',
    ]);
    expect(frames.find(({ output }) => output)?.output).toEqual({ zone: 'Europe/Oslo', time: '12:00' });
    // Without a tool of that name the model writes its call as text.
    expect(textOf(frames)).toContain('current_time');
    expect(frames.at(-1)).toMatchObject({ type: 'streaming_end', agent: 'ollama' });
  });

  it('with a model that takes no tools answers without, and the log says so once', async () => {
    for (let index = 0; index < 2; index++)
      expect(textOf(await ask({ model: 'say' }))).toContain('quick brown fox');
    const lines = server.logs.filter(({ msg }) => String(msg).includes('takes no tools'));
    expect(lines).toHaveLength(1);
  });
});
