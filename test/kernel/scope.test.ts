import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { Undo } from '../../kernel/contracts/effect.js';
import { EffectScope } from '../../kernel/scope.js';
import { deferred, never } from '../support/kernel.js';

const longMs = 5_000;
const shortMs = 20;

const labelsOf = ({ effects }: EffectScope): readonly string[] => effects.map(({ label }) => label);

describe('an effect', () => {
  it('runs now, and is undone last thing first when the scope closes', async () => {
    const done: string[] = [];
    const scope = new EffectScope('p');
    for (const name of ['a', 'b', 'c'])
      scope.effect(name, () => {
        done.push(`do ${name}`);
        return () => void done.push(`undo ${name}`);
      });
    expect(labelsOf(scope)).toEqual(['a', 'b', 'c']);
    expect(await scope.close(longMs)).toEqual({ errors: [], left: [] });
    expect(done).toEqual(['do a', 'do b', 'do c', 'undo c', 'undo b', 'undo a']);
    expect(labelsOf(scope)).toEqual([]);
  });

  it('is undone once, however often its undo is called', async () => {
    const undo = vi.fn();
    const scope = new EffectScope('p');
    const early = scope.effect('x', () => undo);
    early();
    early();
    expect(labelsOf(scope)).toEqual([]);
    await scope.close(longMs);
    expect(undo).toHaveBeenCalledTimes(1);
  });

  it('may call its own undo while it is being undone', () => {
    const scope = new EffectScope('p');
    const calls: string[] = [];
    const undo: Undo = scope.effect('x', () => () => {
      calls.push('undo');
      void undo();
    });
    void undo();
    expect(calls).toEqual(['undo']);
  });

  it('is in effect until its asynchronous undo has ended, and every caller waits for that end', async () => {
    const scope = new EffectScope('p');
    const end = deferred();
    const undo = scope.effect('slow', () => () => end.promise);
    const first = undo();
    expect(undo()).toBe(first);
    expect(labelsOf(scope)).toEqual(['slow']);
    end.resolve();
    await first;
    expect(labelsOf(scope)).toEqual([]);
  });

  it('leaves nothing behind when its start throws', () => {
    const scope = new EffectScope('p');
    const fail = () => {
      throw new Error('no');
    };
    expect(() => scope.effect('x', fail)).toThrow('no');
    expect(labelsOf(scope)).toEqual([]);
  });

  it('is refused before its start runs once closing has begun', async () => {
    const scope = new EffectScope('p');
    const start = vi.fn(() => () => {});
    let late: unknown;
    scope.effect('x', () => () => {
      try {
        scope.effect('late', start);
      } catch (error) {
        late = error;
      }
    });
    await scope.close(longMs);
    expect(late).toMatchObject({ code: 'KERNEL_SCOPE_CLOSED', details: { plugin: 'p', label: 'late' } });
    expect(() => scope.effect('later', start)).toThrow('cannot do "later" any more');
    expect(start).not.toHaveBeenCalled();
  });
});

describe('an asynchronous effect', () => {
  it('that is still pending when the scope closes is awaited and then undone', async () => {
    const done: string[] = [];
    const scope = new EffectScope('p');
    const open = deferred();
    scope.effect('first', () => () => void done.push('undo first'));
    const pending = scope.effect('socket', async () => {
      await open.promise;
      done.push('open');
      return () => void done.push('close');
    });
    expect(labelsOf(scope)).toEqual(['first', 'socket']);
    const closing = scope.close(longMs);
    open.resolve();
    expect(await closing).toEqual({ errors: [], left: [] });
    expect(done).toEqual(['open', 'close', 'undo first']);
    // What the plugin gets in the end does nothing a second time.
    await (await pending)();
    expect(done).toHaveLength(3);
  });

  it('that fails reaches its caller and leaves nothing behind', async () => {
    const scope = new EffectScope('p');
    const failed = scope.effect('socket', async (): Promise<Undo> => {
      throw new Error('in use');
    });
    await expect(failed).rejects.toThrow('in use');
    expect(await scope.close(longMs)).toEqual({ errors: [], left: [] });
  });

  it('that fails while the scope closes is no error of the close', async () => {
    const scope = new EffectScope('p');
    const open = deferred<Undo>();
    const pending = scope.effect('socket', () => open.promise);
    const closing = scope.close(longMs);
    open.reject(new Error('aborted'));
    await expect(pending).rejects.toThrow('aborted');
    expect(await closing).toEqual({ errors: [], left: [] });
  });

  it('that comes after the close has given up is undone all the same', async () => {
    const scope = new EffectScope('p');
    const open = deferred<Undo>();
    const closed = deferred();
    void scope.effect('socket', () => open.promise);
    expect(await scope.close(shortMs)).toEqual({ errors: [], left: ['socket'] });
    open.resolve(() => closed.resolve());
    await closed.promise;
  });
});

describe('closing', () => {
  it('goes on past undos that throw or reject, and keeps why', async () => {
    const done: string[] = [];
    const scope = new EffectScope('p');
    const boom = new Error('boom');
    scope.effect('first', () => () => void done.push('first'));
    scope.effect('throws', () => () => {
      throw boom;
    });
    scope.effect('rejects', () => () => Promise.reject('text'));
    scope.effect('last', () => () => void done.push('last'));
    const { errors, left } = await scope.close(longMs);
    expect(done).toEqual(['last', 'first']);
    expect(errors.map((error) => error.message)).toEqual([
      'undoing "rejects" failed: text',
      'undoing "throws" failed: Error: boom',
    ]);
    expect(errors[1]?.cause).toBe(boom);
    expect(left).toEqual([]);
  });

  it('is bounded in time, undoes the rest, and tells by label what is left', async () => {
    const done: string[] = [];
    const scope = new EffectScope('p');
    scope.effect('a', () => () => void done.push('a'));
    scope.effect('hangs', () => never);
    scope.effect('b', () => () => void done.push('b'));
    expect(await scope.close(shortMs)).toEqual({ errors: [], left: ['hangs'] });
    expect(done).toEqual(['b', 'a']);
  });

  it('aborts the signal before the first undo', async () => {
    const scope = new EffectScope('p');
    const seen: boolean[] = [];
    scope.effect('x', () => () => void seen.push(scope.signal.aborted));
    expect(scope.signal.aborted).toBe(false);
    await scope.close(longMs);
    expect(seen).toEqual([true]);
  });

  it('a second time gives the same report', () => {
    const scope = new EffectScope('p');
    expect(scope.close(longMs)).toBe(scope.close(longMs));
  });

  it('undoes whatever was not undone before, once each, newest first', async () => {
    const effects = fc.array(
      fc.record({
        startsLate: fc.boolean(),
        endsLate: fc.boolean(),
        fails: fc.boolean(),
        early: fc.boolean(),
      }),
    );
    await fc.assert(
      fc.asyncProperty(effects, async (all) => {
        const scope = new EffectScope('p');
        const undone: number[] = [];
        const undos: Undo[] = [];
        for (const [index, { startsLate, endsLate, fails }] of all.entries()) {
          const undo = (): void | Promise<void> => {
            undone.push(index);
            if (fails && endsLate) return Promise.reject(new Error('fails'));
            if (fails) throw new Error('fails');
            return endsLate ? Promise.resolve() : undefined;
          };
          const label = String(index);
          undos.push(
            startsLate ? await scope.effect(label, async () => undo) : scope.effect(label, () => undo),
          );
        }
        const early = [...all.keys()].filter((index) => all[index]!.early && !all[index]!.fails);
        for (const index of early) await undos[index]!();
        const { errors, left } = await scope.close(longMs);
        const rest = [...all.keys()].filter((index) => !early.includes(index));
        expect(undone).toEqual([...early, ...rest.reverse()]);
        expect(errors).toHaveLength(all.filter((each) => each.fails).length);
        expect(left).toEqual([]);
        expect(labelsOf(scope)).toEqual([]);
      }),
    );
  });
});
