import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definePlugin } from '#kernel';
import { accessPlugin, as, TestUsers } from '../../support/access.js';
import { type Hive, startHive } from '../../support/hive.js';

const asked: (string | undefined)[] = [];
const work = definePlugin({
  name: 'work',
  apiVersion: 1,
  setup(ctx) {
    ctx.registerTask({ name: 'echo', lane: 'main', exposed: true, run: async (input) => input });
    ctx.registerTask({
      name: 'wait',
      lane: 'main',
      exposed: true,
      run: (_, { userId, signal }) => {
        asked.push(userId);
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    });
  },
});

const post = (hive: Hive, task: string, body: object, headers = {}) =>
  fetch(`${hive.url}/tasks/${task}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
const idOf = async (response: Promise<Response>): Promise<string> => {
  const { taskId } = (await (await response).json()) as { readonly taskId: string };
  return taskId;
};

describe.each(['uws', 'node'] as const)('runs of other users over %s', (transport) => {
  let hive: Hive;
  beforeAll(async () => {
    const users = {
      'token-of-ann': { id: 'ann', scopes: [] },
      'token-of-bob': { id: 'bob', scopes: [] },
      'token-of-admin': { id: 'root', scopes: ['admin'] },
      'token-of-proxy': { id: 'proxy', scopes: ['act-as'] },
    };
    hive = await startHive({
      transport,
      plugins: [work, accessPlugin(new TestUsers(users))],
      drainTimeoutMs: 50,
    });
  });
  afterAll(() => hive.stop());

  /** Everything of a response that its client can compare; the id that was asked for is left out. */
  const seen = async (method: string, id: string, token: string) => {
    const response = await fetch(`${hive.url}/tasks/${id}`, {
      method,
      headers: { ...as(token), 'x-request-id': 'r' },
    });
    const headers = Object.fromEntries(response.headers);
    delete headers.date;
    return { status: response.status, headers, body: (await response.text()).replaceAll(id, 'ID') };
  };

  it.each([
    ['look at one that runs', 'GET', 'wait'],
    ['look at one that has ended', 'GET', 'echo'],
    ['cancel one that runs', 'DELETE', 'wait'],
    ['cancel one that has ended', 'DELETE', 'echo'],
  ])('cannot be told from runs that never existed: %s', async (_, method, task) => {
    const id = await idOf(post(hive, task, { input: 1 }, as('ann')));
    const unknown = await seen(method, `${id.slice(0, -4)}AAAA`, 'bob');
    expect(unknown).toMatchObject({ status: 404, body: expect.stringContaining('TASK_UNKNOWN') });
    expect(await seen(method, id, 'bob')).toEqual(unknown);
    expect(await seen(method, id, 'admin')).toEqual(unknown);
    expect(await seen('GET', id, 'ann')).toMatchObject({
      status: 200,
      body: expect.stringContaining(task === 'wait' ? '"running"' : '"succeeded"'),
    });
    expect(await seen(method, id, 'proxy')).toMatchObject({ status: 200 });
  });

  it.each([
    ['no user', 'ann', undefined, 202, 'ann'],
    ['the user of the credentials', 'ann', 'ann', 202, 'ann'],
    ['another user', 'ann', 'bob', 403, undefined],
    ['another user as an admin', 'admin', 'bob', 403, undefined],
    ['another user with the scope "act-as"', 'proxy', 'bob', 202, 'bob'],
  ])('are not started in a name that is not one’s own: %s', async (_, token, user_id, status, owner) => {
    asked.length = 0;
    const response = await post(hive, 'wait', { user_id }, as(token));
    expect(response.status).toBe(status);
    const body = (await response.json()) as { readonly taskId: string };
    if (owner === undefined) expect(body).toMatchObject({ error: { code: 'FORBIDDEN' } });
    else expect(await seen('DELETE', body.taskId, owner)).toMatchObject({ status: 200 });
    expect(asked).toEqual(owner === undefined ? [] : [owner]);
  });

  it('are not joined by their key', async () => {
    const body = { input: 1, request_id: 'r1' };
    const id = await idOf(post(hive, 'echo', body, as('ann')));
    expect(await idOf(post(hive, 'echo', body, as('ann')))).toBe(id);
    expect(await idOf(post(hive, 'echo', body, as('bob')))).not.toBe(id);
    expect((await post(hive, 'echo', { ...body, input: 2 }, as('bob'))).status).toBe(409);
  });
});

describe('an open server', () => {
  it('joins runs only of a named user', async () => {
    const hive = await startHive({ plugins: [work] });
    const body = { input: 1, request_id: 'r1' };
    const submit = (more = {}) => idOf(post(hive, 'echo', { ...body, ...more }));
    const ids = [
      await submit(),
      await submit(),
      await submit({ user_id: 'ann' }),
      await submit({ user_id: 'bob' }),
    ];
    expect(new Set(ids).size).toBe(4);
    expect(await submit({ user_id: 'ann' })).toBe(ids[2]);
    // A key of a stranger stands for nothing: another input is no conflict.
    expect((await post(hive, 'echo', { ...body, input: 2 })).status).toBe(202);
    await hive.close();
  });
});
