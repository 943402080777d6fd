import { describe, expect, it, vi } from 'vitest';
import { Bus } from '../../../kernel/kernel-bus.js';
import { ReplyHistory } from '../../../plugins/ui-web/reply-history.js';
import { Sampler } from '../../../plugins/ui-web/sampler.js';
import { eventually } from '../../support/eventually.js';

const figures = { running: 1, waiting: 0, kept: 0, readers: 0, chars: 0, tokens: 0 };
const timings = { queuedMs: 0, totalMs: 1 };
const failed = (error: unknown) => expect.unreachable(String(error));

describe('samples', () => {
  it('that cannot be taken are told of once, and taken again as soon as they can', async () => {
    let broken = false;
    const streams = {
      get stats() {
        if (broken) throw new Error('broken');
        return figures;
      },
    };
    const told: unknown[] = [];
    const sampler = new Sampler({ streams }, (error) => void told.push(error), { intervalMs: 5 });
    const close = sampler.open();
    sampler.look();
    broken = true;
    await vi.waitFor(() => expect(told).toHaveLength(1));
    broken = false;
    const before = sampler.look().length;
    await vi.waitFor(() => expect(sampler.look().length).toBeGreaterThan(before));
    expect(told).toHaveLength(1);
    void close();
  });

  it('are taken once somebody looks', async () => {
    const streams = { stats: figures };
    const sampler = new Sampler({ streams }, failed, { intervalMs: 5 });
    expect(sampler.awake).toBe(false);
    expect(sampler.look()).toEqual([]);
    streams.stats = { ...figures, tokens: 1000 };
    const [first] = await eventually(() => {
      const samples = sampler.look();
      return samples.length > 1 ? samples : Promise.reject();
    });
    expect(first).toMatchObject({ running: 1, waiting: 0 });
    expect(sampler.look().some(({ tokensPerSecond }) => tokensPerSecond > 0)).toBe(true);
    sampler.open()();
    expect(sampler.awake).toBe(false);
  });

  it('are not taken while nobody looks, and what was before is not shown as what has just been', async () => {
    const sampler = new Sampler({}, failed, { intervalMs: 5, restMs: 5 });
    sampler.look();
    await eventually(() => (sampler.awake ? Promise.reject() : undefined));
    expect(sampler.look()).toEqual([]);
    expect(sampler.awake).toBe(true);
    sampler.open()();
  });
});

describe('the reply history', () => {
  const bus = () => new Bus((error) => expect.unreachable(String(error)));

  it('remembers the newest replies, and those that run first', () => {
    const announced = bus();
    const history = new ReplyHistory(announced);
    for (let index = 0; index < 100; index++)
      announced.emit('chat:started', { streamId: `s${index}`, userId: 'u', agent: 'a' });
    for (let index = 0; index < 95; index++)
      announced.emit('chat:finished', { streamId: `s${index}`, userId: 'u', agent: 'a', tokens: 1, timings });
    const numbers = history.replies(() => undefined, false).map(({ number, state }) => `${number} ${state}`);
    expect(numbers.slice(0, 6)).toEqual([
      ...['100 running', '99 running', '98 running', '97 running', '96 running', '95 finished'],
    ]);
    expect(numbers).toHaveLength(30);
    expect(history.ended).toEqual({ finished: 95, failed: 0, cancelled: 0 });
  });

  it('counts connections by close code, whatever codes clients make up', () => {
    const announced = bus();
    const history = new ReplyHistory(announced);
    for (const [index, code] of [1000, 1000, 4409, 3000, 4999].entries()) {
      announced.emit('connection:opened', { connection: `c${index}`, path: '/ws', remoteAddress: '1.2.3.4' });
      announced.emit('connection:closed', { connection: `c${index}`, code });
    }
    announced.emit('connection:opened', { connection: 'last', path: '/ws', remoteAddress: '1.2.3.4' });
    announced.emit('connection:refused', { remoteAddress: '1.2.3.4', code: 1013 });
    expect(history.connections).toEqual({
      opened: 6,
      refused: 1,
      closed: { 1000: 2, 4409: 1, other: 2 },
    });
  });
});
