import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { z } from 'zod';
import { type Chunk, connect } from '../../plugins/endpoint-ws/client/index.js';
import { ScriptedModel, say, use } from '../support/scripted-model.js';
import { ToolHive } from '../support/tool-hive.js';

const server = new ToolHive();

const clock = {
  name: 'clock',
  lane: 'main' as const,
  tool: { approval: 'ask' as const },
  input: z.object({}),
  run: () => 'noon',
};

describe('the typed client', () => {
  it('runs tools of its program, is asked for permission, and shows every step', async () => {
    const model = new ScriptedModel('m', [
      [say('Look: '), use('place', { id: 1 }, 'c1'), use('broken', {}, 'c2'), use('clock', {}, 'c3')],
      [say('noon in Oslo')],
    ]);
    await server.start([model], [clock]);
    const client = await connect(`${server.hive.ws}/ann`, { WebSocket });
    const reply = client.chat('Where and when?', {
      tools: [
        { name: 'place', run: ({ id }: { id: number }) => ({ id, place: 'Oslo' }) },
        {
          name: 'broken',
          run: () => {
            throw new Error('out of order');
          },
        },
      ],
      onApproval: ({ name }) => name === 'clock',
    });
    const chunks: Chunk[] = [];
    for await (const chunk of reply) chunks.push(chunk);
    const results = Object.fromEntries(
      chunks.flatMap((chunk) =>
        chunk.type === 'tool_result' ? [[chunk.id, chunk.output ?? chunk.error]] : [],
      ),
    );
    expect(results).toEqual({
      c1: { id: 1, place: 'Oslo' },
      c2: { code: 'TASK_FAILED', message: expect.stringContaining('out of order') },
      c3: 'noon',
    });
    expect(chunks.filter(({ type }) => type.startsWith('approval')).map(({ type }) => type)).toEqual([
      'approval_required',
      'approval_resolved',
    ]);
    expect((await reply.result).text).toBe('Look: noon in Oslo');
    await client.close();
  });

  it('runs a tool once and delivers its result, also where the connection is lost meanwhile', async () => {
    const model = new ScriptedModel('m', [[use('place', {}, 'c1')], [say('There.')]]);
    await server.start([model]);
    const sockets: WebSocket[] = [];
    class Watched extends WebSocket {
      constructor(url: string) {
        super(url);
        sockets.push(this);
      }
    }
    const client = await connect(`${server.hive.ws}/ann`, {
      WebSocket: Watched as never,
      reconnect: { baseMs: 1 },
    });
    let runs = 0;
    const reply = client.chat('Where?', {
      tools: [
        {
          name: 'place',
          async run() {
            runs++;
            const [socket] = sockets;
            socket?.terminate();
            await once(socket as WebSocket, 'close');
            return 'Oslo';
          },
        },
      ],
    });
    const { text, toolCalls } = await reply.result;
    expect([text, runs, toolCalls.length]).toEqual(['There.', 1, 1]);
    await client.close();
  });

  it('can answer by itself', async () => {
    const model = new ScriptedModel('m', [
      [use('place', {}, 'c1'), use('clock', {}, 'c2'), use('place', {}, 'c3')],
      [say('Ok.')],
    ]);
    await server.start([model], [clock]);
    const client = await connect(`${server.hive.ws}/ann`, { WebSocket });
    const reply = client.chat('Where?', { tools: [{ name: 'place' }] });
    for await (const chunk of reply) {
      if (chunk.type === 'tool_call' && chunk.id === 'c1') reply.toolResult('c1', undefined);
      if (chunk.type === 'tool_call' && chunk.id === 'c3') reply.toolError('c3', 'no idea');
      if (chunk.type === 'approval_required') reply.approve(chunk.id, false, 'not now');
    }
    const told = model.requests[1]?.messages.slice(-3).map(({ content }) => content);
    expect(told).toEqual(['null', expect.stringContaining('not now'), expect.stringContaining('no idea')]);
    await client.close();
  });
});
