import { afterEach, describe, expect, it, vi } from 'vitest';
import { ModelList } from '#sdk/upstream';
import { eventually } from '../../../support/eventually.js';
import { deferred, rejection } from '../../../support/kernel.js';
import { leakCheck } from '../../../support/leaks.js';

const { signal } = new AbortController();

/** Lets as much time pass as makes a list old. */
function ageLists(): void {
  const now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now + 30_001);
}

afterEach(() => void vi.restoreAllMocks());

describe('a list of models', () => {
  it('is asked for first, and then remembered', async () => {
    const list = vi.fn(async () => ['a']);
    const models = new ModelList(list, 1000);
    expect(await models.known(signal)).toEqual(['a']);
    expect(await models.known(signal)).toEqual(['a']);
    expect(list).toHaveBeenCalledTimes(1);
    list.mockResolvedValueOnce(['b']);
    expect(await models.ask(signal)).toEqual(['b']);
    expect(await models.known(signal)).toEqual(['b']);
  });

  it('is given at once when it is old, and refreshed by one request for all', async () => {
    const answer = deferred<string[]>();
    const list = vi.fn(() => answer.promise);
    const models = new ModelList(list, 1000);
    list.mockResolvedValueOnce(['a']);
    await models.known(signal);
    ageLists();
    for (let reply = 0; reply < 3; reply++) expect(await models.known(signal)).toEqual(['a']);
    // The reply comes first.
    expect(list).toHaveBeenCalledTimes(1);
    await eventually(() => expect(list).toHaveBeenCalledTimes(2));
    answer.resolve(['b']);
    await eventually(async () => expect(await models.known(signal)).toEqual(['b']));
    expect(list).toHaveBeenCalledTimes(2);
  });

  it('stays when it cannot be refreshed, and the next reply tries again', async () => {
    const list = vi.fn(async () => ['a']);
    const models = new ModelList(list, 1000);
    await models.known(signal);
    ageLists();
    list.mockRejectedValueOnce(new Error('no'));
    expect(await models.known(signal)).toEqual(['a']);
    await eventually(() => expect(list).toHaveBeenCalledTimes(2));
    list.mockResolvedValue(['b']);
    await eventually(async () => expect(await models.known(signal)).toEqual(['b']));
    expect(list).toHaveBeenCalledTimes(3);
  });

  it('is waited for where an old one is empty, and a failure is then a failure', async () => {
    const list = vi.fn(async (): Promise<string[]> => []);
    const models = new ModelList(list, 1000);
    expect(await models.known(signal)).toEqual([]);
    expect(await models.known(signal)).toEqual([]);
    expect(list).toHaveBeenCalledTimes(1);
    ageLists();
    list.mockRejectedValueOnce(new Error('no'));
    expect((await rejection(models.known(signal))).message).toBe('no');
    list.mockResolvedValueOnce(['a']);
    expect(await models.known(signal)).toEqual(['a']);
  });

  it('leaves nothing behind once closed, and then asks no more', async () => {
    const leaks = leakCheck();
    const asked = deferred<AbortSignal>();
    const list = vi.fn(async (given: AbortSignal): Promise<string[]> => {
      asked.resolve(given);
      await new Promise((_, reject) => given.addEventListener('abort', () => reject(given.reason)));
      return [];
    });
    const models = new ModelList(list, 60_000);
    list.mockResolvedValueOnce(['a']);
    await models.known(signal);
    ageLists();
    await models.known(signal);
    const given = await asked.promise;
    models.close();
    expect(given.aborted).toBe(true);
    await leaks.settled();
    expect(await models.known(signal)).toEqual(['a']);
    await leaks.settled();
    expect(list).toHaveBeenCalledTimes(2);
  });
});
