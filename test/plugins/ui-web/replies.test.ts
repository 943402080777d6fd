import { afterEach, describe, expect, it } from 'vitest';
import type { AuditEntry, Plugin } from '#kernel';
import uiWeb from '../../../plugins/ui-web/index.js';
import { accessPlugin, as } from '../../support/access.js';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';
import { plugin } from '../../support/kernel.js';
import { call } from '../../support/transport.js';

let hive: Hive;
afterEach(() => hive.stop());

const agent = new ScriptedAgent('scripted');
const agentPlugin = plugin('agent-scripted', { setup: (ctx) => void ctx.addAgent(agent) });

async function start(...plugins: readonly Plugin[]) {
  hive = await startHive({
    plugins: [...plugins, agentPlugin],
    config: { 'tasks-tinypool': {}, 'streams-memory': { maxRunning: 1 } },
  });
  await hive.kernel.load(uiWeb, { config: {} });
  const port = Number(new URL(hive.url).port);
  const audit: AuditEntry[] = [];
  hive.kernel.bus.on('access:audited', (entry) => void audit.push(entry));
  return {
    audit,
    state: async (headers: Record<string, string> = {}) => {
      const { json, text } = await call(port, { path: '/ui/state', headers });
      return { replies: json.streams.replies, text };
    },
    cancel: (number: string | number, headers: Record<string, string> = {}) =>
      call(port, { method: 'DELETE', path: `/ui/replies/${number}`, headers }),
  };
}

const ask = (userId: string) =>
  hive.streams.start({ userId, content: 'x', agent: 'scripted', model: 'tiny', conversationId: 'c' });

describe('running replies', () => {
  it('are shown with their user, phase, model and readers, and cancelled by number', async () => {
    const { audit, state, cancel } = await start(accessPlugin());
    agent.script = ['wait', text('One'), 'wait', done];
    const first = await ask('ann');
    const reader = first.read();
    await expect.poll(async () => (await state(as('root'))).replies).toMatchObject([{ phase: 'starting' }]);
    const second = await ask('bob');
    expect((await state(as('root'))).replies).toMatchObject([
      { number: 2, user: 'bob', phase: 'waiting', state: 'running', model: 'tiny', readers: 0 },
      { number: 1, user: 'ann', phase: 'starting', state: 'running', model: 'tiny', readers: 1 },
    ]);
    agent.release();
    await expect
      .poll(async () => (await state(as('root'))).replies[1])
      .toMatchObject({
        ...{ id: first.streamId.slice(0, 6), agent: 'scripted', phase: 'streaming' },
        quietMs: expect.any(Number),
      });
    expect((await state(as('root'))).text).not.toContain(first.streamId);

    for (const headers of [{}, as('ann')])
      expect((await cancel(1, headers)).status).toBe('authorization' in headers ? 403 : 401);
    const answer = await cancel(1, as('root'));
    expect(answer.json).toEqual({
      cancelled: true,
      upstreamClosedMs: expect.any(Number),
      stopped: expect.anything(),
    });
    expect(first.ended).toBe(true);
    expect(audit).toContainEqual({
      action: 'admin',
      what: `cancel reply ${first.streamId.slice(0, 6)} of ann`,
      userId: 'root',
      remoteAddress: '127.0.0.1',
      requestId: expect.any(String),
    });
    for (const gone of ['1', '99', '0'])
      expect((await cancel(gone, as('root'))).json.error.code).toBe('STREAM_UNKNOWN');
    for (const odd of ['x', '1e3', '-1', first.streamId])
      expect((await cancel(odd, as('root'))).json.error.code).toBe('INVALID_REQUEST');
    await reader.return();
    await second.cancel('client');
    expect((await state(as('root'))).replies).toMatchObject([
      { number: 2, user: 'bob', state: 'cancelled' },
      { number: 1, user: 'ann', state: 'cancelled' },
    ]);
  });

  it('of an open server have no user, because the name alone gives access, and anyone may end them', async () => {
    const { state, cancel } = await start();
    agent.script = [text('One'), 'wait', done];
    await ask('private-name');
    await expect.poll(async () => (await state()).replies).toMatchObject([{ phase: 'streaming' }]);
    expect((await state()).text).not.toContain('private-name');
    expect((await cancel(1)).status).toBe(200);
  });
});
