import { describe, expect, it, vi } from 'vitest';
import type { PluginContext } from '../../kernel/contracts/plugin-context.js';
import { every } from '../../kernel/every.js';
import { plugin, recordingLogger, startKernel } from '../support/kernel.js';
import { leakCheck } from '../support/leaks.js';

describe('a timer', () => {
  it.each([
    ['an error', () => new Error('boom')],
    ['a text', () => 'boom'],
    ['nothing', () => undefined],
    ['what cannot be shown', () => Object.create(null)],
  ])('whose step throws %s goes on, tells of it once, and again after it has worked', async (_, thrown) => {
    const told: unknown[] = [];
    let calls = 0;
    const stop = every(
      1,
      () => {
        calls++;
        if (calls !== 4) throw thrown();
      },
      (error) => void told.push(error),
    );
    await vi.waitFor(() => expect(calls).toBeGreaterThan(6));
    void stop();
    expect(told).toHaveLength(2);
  });

  it('of a plugin is logged under its name, and ends with it', async () => {
    const leaks = leakCheck();
    const { logger, lines } = recordingLogger();
    let calls = 0;
    const counts = plugin('counts', {
      setup(ctx: PluginContext) {
        ctx.every('count', 1, () => {
          calls++;
          throw new Error('boom');
        });
      },
    });
    const kernel = await startKernel([counts], { logger });
    await vi.waitFor(() => expect(calls).toBeGreaterThan(3));
    expect(kernel.inspect().plugins[0]?.effects).toEqual(['count every 1 ms']);
    await kernel.stop();
    await leaks.settled();
    expect(lines.filter(({ level }) => level === 'error')).toMatchObject([
      { plugin: 'counts', timer: 'count', err: { message: 'boom' }, msg: 'a timer failed; it goes on' },
    ]);
  });
});
