import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { accessPlugin } from '../../support/access.js';
import { ScriptedAgent } from '../../support/agents.js';
import { type Hive, startHive } from '../../support/hive.js';

const asked = { model: 'scripted', messages: [{ role: 'user' as const, content: 'Hi' }] };

describe('the official client', () => {
  let hive: Hive;
  const agent = new ScriptedAgent('scripted');
  const clientWith = (apiKey: string) => new OpenAI({ baseURL: `${hive.url}/v1`, apiKey, maxRetries: 0 });
  beforeAll(async () => {
    hive = await startHive({
      plugins: [
        accessPlugin(),
        definePlugin({ name: 'fixture', apiVersion: 1, setup: (ctx) => void ctx.addAgent(agent) }),
      ],
    });
  });
  afterAll(() => hive.close());

  it('asks with its key, and the agent knows the user', async () => {
    const { choices } = await clientWith('token-of-ann').chat.completions.create(asked);
    expect(choices[0]?.message.content).toBe('Hello there');
    expect(agent.requests.at(-1)).toMatchObject({ userId: 'ann' });
    expect((await clientWith('token-of-ann').models.list()).data.length).toBeGreaterThan(0);
  });

  it.each<[name: string, key: string, more: object, error: new (...args: never[]) => Error, code: string]>([
    ['a wrong key', 'wrong', {}, OpenAI.AuthenticationError, 'invalid_api_key'],
    ['an empty key', ' ', {}, OpenAI.AuthenticationError, 'invalid_api_key'],
    ['another user', 'token-of-bob', { user: 'ann' }, OpenAI.PermissionDeniedError, 'forbidden'],
  ])('gets the error that it knows for %s', async (_name, key, more, error, code) => {
    const failed = clientWith(key).chat.completions.create({ ...asked, ...more });
    await expect(failed).rejects.toBeInstanceOf(error);
    await expect(failed).rejects.toMatchObject({ code });
    await expect(
      clientWith(key).chat.completions.create({ ...asked, ...more, stream: true }),
    ).rejects.toBeInstanceOf(error);
  });
});
