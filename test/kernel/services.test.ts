import { inject, injectable } from 'tsyringe';
import { describe, expect, it } from 'vitest';
import type { PluginContext } from '../../kernel/contracts/plugin-context.js';
import { createToken, ServiceTable, tokenId } from '../../kernel/services.js';
import { plugin, startKernel } from '../support/kernel.js';

interface Clock {
  now(): number;
}
const Clock = createToken<Clock>('test.clock');
const clock: Clock = { now: () => 7 };

@injectable()
class Watch {
  constructor(@inject(Clock) readonly clock: Clock) {}
}

describe('a token', () => {
  it('is the same for the same id, also from another copy of this package', () => {
    expect(createToken('test.clock')).toBe(Clock);
    expect(createToken('test.other')).not.toBe(Clock);
  });

  it('tells its id', () => {
    expect(tokenId(Clock)).toBe('test.clock');
    expect(tokenId(Symbol('foreign'))).toBe('foreign');
    expect(tokenId(Symbol())).toBe('anonymous');
  });
});

describe('a service', () => {
  it('is there from provide to its undo', () => {
    const table = new ServiceTable();
    expect(table.has(Clock)).toBe(false);
    const undo = table.provide(Clock, clock, 'a');
    expect(table.get(Clock)).toBe(clock);
    void undo();
    expect(table.has(Clock)).toBe(false);
    expect(() => table.get(Clock)).toThrow(
      expect.objectContaining({ code: 'KERNEL_SERVICE_MISSING', details: { service: 'test.clock' } }),
    );
  });

  it('may be anything, also nothing', () => {
    const table = new ServiceTable();
    const Empty = createToken<undefined>('test.empty');
    table.provide(Empty, undefined, 'a');
    expect(table.has(Empty)).toBe(true);
    expect(table.get(Empty)).toBeUndefined();
  });

  it('has one provider; a second one is refused by name', () => {
    const table = new ServiceTable();
    table.provide(Clock, clock, 'a');
    expect(() => table.provide(Clock, { now: () => 8 }, 'b')).toThrow(
      expect.objectContaining({
        code: 'KERNEL_SERVICE_CONFLICT',
        details: { service: 'test.clock', owner: 'a', plugin: 'b' },
      }),
    );
    expect(table.get(Clock)).toBe(clock);
  });

  it('provided anew is not taken away by the undo of the one before', () => {
    const table = new ServiceTable();
    const undo = table.provide(Clock, clock, 'a');
    void undo();
    const next = { now: () => 8 };
    table.provide(Clock, next, 'b');
    void undo();
    expect(table.get(Clock)).toBe(next);
  });
});

describe("a plugin's container", () => {
  it("wires the plugin's own classes with shared services, through explicit tokens", () => {
    const table = new ServiceTable();
    table.provide(Clock, clock, 'a');
    const container = table.createContainer();
    expect(container.resolve(Clock)).toBe(clock);
    expect(container.resolve(Watch).clock).toBe(clock);
  });

  it('gets the service that is provided now, never one from before', () => {
    const table = new ServiceTable();
    const container = table.createContainer();
    void table.provide(Clock, clock, 'a')();
    const next = { now: () => 8 };
    table.provide(Clock, next, 'b');
    expect(container.resolve(Clock)).toBe(next);
    expect(container.resolve(Watch).clock).toBe(next);
  });

  it('keeps its own registrations from the other plugins and from other kernels', () => {
    const table = new ServiceTable();
    const Own = createToken<string>('test.own');
    const [one, two] = [table.createContainer(), table.createContainer()];
    one.register(Own, { useValue: 'mine' });
    expect(one.resolve(Own)).toBe('mine');
    expect(two.isRegistered(Own, true)).toBe(false);
    table.provide(Clock, clock, 'a');
    expect(new ServiceTable().createContainer().isRegistered(Clock, true)).toBe(false);
  });

  it('of each plugin is another one, and refuses a service whose plugin was unloaded', async () => {
    const contexts: PluginContext[] = [];
    const kernel = await startKernel([
      plugin('clock', { provides: [Clock], setup: (ctx) => void ctx.provide(Clock, clock) }),
      plugin('one', { setup: (ctx) => void contexts.push(ctx) }),
      plugin('two', { setup: (ctx) => void contexts.push(ctx) }),
    ]);
    const [one, two] = contexts.map((ctx) => ctx.container);
    expect(one).not.toBe(two);
    expect(one!.resolve(Watch).clock).toBe(kernel.get(Clock));
    await kernel.unload('clock');
    expect(() => one!.resolve(Clock)).toThrow(expect.objectContaining({ code: 'KERNEL_SERVICE_MISSING' }));
    expect(() => two!.resolve(Watch)).toThrow('no running plugin provides test.clock');
    await kernel.stop();
  });
});
