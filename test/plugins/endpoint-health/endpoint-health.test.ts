import { afterEach, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { done, ScriptedAgent, text } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

let hive: Hive | undefined;
afterEach(() => hive?.close());

const model = new ScriptedAgent('model', [text('Hi'), done]);
let isWell = false;
model.health = async () => ({ healthy: isWell });

const start = async () => {
  const plugin = definePlugin({
    name: 'agent-model',
    apiVersion: 1,
    setup: (ctx) => void ctx.addAgent(model),
  });
  hive = await startHive({
    plugins: [plugin],
    config: { 'agent-queen': { candidates: ['model', 'eliza'], healthTtlMs: 1 } },
  });
  return hive;
};
const ready = async ({ url }: Hive) => {
  const answer = await fetch(`${url}/ready`);
  const { reasons, agents } = (await answer.json()) as {
    readonly reasons: readonly string[];
    readonly agents: readonly { readonly name: string; readonly namedOnly?: boolean }[];
  };
  return { status: answer.status, reasons, demo: agents.find(({ name }) => name === 'eliza') };
};
const ask = async ({ url }: Hive, more: object = {}) => {
  const body = JSON.stringify({ content: 'Hello', user_id: 'ann', ...more });
  const headers = { 'content-type': 'application/json' };
  return (await fetch(`${url}/chat`, { method: 'POST', headers, body })).status;
};

describe('GET /ready', () => {
  it('is ready with a demonstration only as long as that may answer', async () => {
    isWell = false;
    const server = await start();
    model.script = [new Error('down')];
    expect(await ready(server)).toMatchObject({ status: 200, demo: { healthy: true } });
    expect((await ready(server)).demo).not.toHaveProperty('namedOnly');

    isWell = true;
    model.script = [text('Hi'), done];
    expect(await ready(server)).toMatchObject({ status: 200, demo: { namedOnly: true } });
    expect(await ask(server)).toBe(200);

    isWell = false;
    model.script = [new Error('down')];
    expect(await ready(server)).toMatchObject({
      status: 503,
      reasons: ['no agent is healthy'],
      demo: { healthy: true, namedOnly: true },
    });
    expect(await ask(server)).toBeGreaterThanOrEqual(500);
    expect(await ask(server, { agent: 'eliza' })).toBe(200);

    isWell = true;
    expect(await ready(server)).toMatchObject({ status: 200, reasons: [] });
  });
});
