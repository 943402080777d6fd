import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AgentHealth } from '#kernel';
import { HealthBoard } from '../../../plugins/agent-queen/health-board.js';
import { ScriptedAgent } from '../../support/agents.js';

const ttlMs = 1000;
let agent: ScriptedAgent & { health?(): Promise<AgentHealth> };
let isWell: boolean;
let looks: number;
let board: HealthBoard;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  [isWell, looks] = [true, 0];
  agent = new ScriptedAgent('a');
  agent.health = async () => {
    looks++;
    return { healthy: isWell };
  };
  board = new HealthBoard({ healthTtlMs: ttlMs, healthTimeoutMs: 1000 });
});
afterEach(() => void vi.useRealTimers());

/** Asks again and again for so long, every 10 ms, and counts the looks. */
async function looksWithin(ms: number): Promise<number> {
  const before = looks;
  for (let passedMs = 0; passedMs < ms; passedMs += 10) {
    vi.advanceTimersByTime(10);
    await board.isHealthy(agent);
  }
  return looks - before;
}

describe('the health board', () => {
  it('believes a healthy agent for a while, and then looks while it goes on believing', async () => {
    expect(await board.isHealthy(agent)).toBe(true);
    expect(await looksWithin(ttlMs)).toBe(0);
    isWell = false;
    vi.advanceTimersByTime(10);
    expect(await board.isHealthy(agent)).toBe(true);
    expect(looks).toBe(2);
    await board.check(agent);
    expect(await board.isHealthy(agent)).toBe(false);
  });

  it('leaves an unhealthy agent alone, the longer the more often it was', async () => {
    isWell = false;
    await board.isHealthy(agent);
    // Once is no habit.
    await board.isHealthy(agent);
    expect(looks).toBe(2);
    expect(await looksWithin(400)).toBeLessThanOrEqual(4);
    expect(await looksWithin(10_000)).toBeLessThanOrEqual(9);
    expect(await looksWithin(10_000)).toBeGreaterThanOrEqual(1);
    expect(await looksWithin(10_000)).toBeLessThanOrEqual(4);
  });

  it('forgets how often that was, once it is well', async () => {
    isWell = false;
    await looksWithin(20_000);
    isWell = true;
    board.confirm(agent);
    expect(await board.isHealthy(agent)).toBe(true);
    isWell = false;
    await board.check(agent);
    const before = looks;
    await board.isHealthy(agent);
    expect(looks).toBe(before + 1);
  });

  it('knows nothing of one that has left and comes again', async () => {
    isWell = false;
    await looksWithin(20_000);
    board.forget(agent);
    const before = looks;
    await board.isHealthy(agent);
    // Once is no habit.
    await board.isHealthy(agent);
    expect(looks).toBe(before + 2);
  });

  it('lets all who ask at once wait for one look', async () => {
    isWell = false;
    await looksWithin(1000);
    vi.advanceTimersByTime(10_000);
    const before = looks;
    isWell = true;
    const answers = await Promise.all(Array.from({ length: 5 }, () => board.isHealthy(agent)));
    expect(looks).toBe(before + 1);
    expect(answers).toContain(true);
  });
});
