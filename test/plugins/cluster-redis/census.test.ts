import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Census } from '../../../plugins/cluster-redis/census.js';

const times = { secondLookMs: 900, graceMs: 10_000 };
const listed = (leases: Record<string, number | undefined>) => new Map(Object.entries(leases));

describe('a census', () => {
  it('loses a node whose lease is gone at two looks, once', () => {
    const census = new Census<number>(times, -10_000);
    expect(census.look(0, listed({ a: 1, b: 2 }))).toEqual([]);
    expect(census.look(1000, listed({ a: undefined, b: 2 }))).toEqual([]);
    expect([...census.alive.keys()]).toEqual(['a', 'b']);
    expect(census.look(1500, listed({ a: undefined, b: 2 }))).toEqual([]);
    expect(census.look(2000, listed({ a: undefined, b: 2 }))).toEqual(['a']);
    expect(census.look(3000, listed({ a: undefined, b: 2 }))).toEqual([]);
    expect([...census.alive]).toEqual([['b', 2]]);
  });

  it('loses a node that is not even listed any more, and one that it has never seen alive', () => {
    const census = new Census<number>(times, -10_000);
    census.look(0, listed({ a: 1 }));
    census.look(1000, listed({ old: undefined }));
    expect(census.look(2000, listed({ old: undefined })).toSorted()).toEqual(['a', 'old']);
  });

  it('forgives a lease that comes back', () => {
    const census = new Census<number>(times, -10_000);
    census.look(0, listed({ a: 1 }));
    census.look(1000, listed({ a: undefined }));
    census.look(2000, listed({ a: 2 }));
    expect(census.look(3000, listed({ a: undefined }))).toEqual([]);
    expect(census.look(4000, listed({ a: undefined }))).toEqual(['a']);
    // Even after it was lost.
    expect(census.look(5000, listed({ a: 3 }))).toEqual([]);
    expect([...census.alive]).toEqual([['a', 3]]);
  });

  it('does not see a node that has left, however late a look shows it', () => {
    const census = new Census<number>(times, -10_000);
    census.look(0, listed({ a: 1 }));
    expect(census.leave('a')).toBe(true);
    expect(census.leave('a')).toBe(false);
    for (const now of [1000, 2000, 3000])
      expect(census.look(now, listed({ a: 1, b: undefined }))).not.toContain('a');
    expect(census.alive.size).toBe(0);
  });

  it('loses a node once more for which nothing could be done, and not one that is settled', () => {
    const census = new Census<number>(times, -10_000);
    census.look(0, listed({ a: undefined, b: undefined }));
    expect(census.look(1000, listed({ a: undefined, b: undefined }))).toEqual(['a', 'b']);
    census.again(1000, 'a');
    census.settled('b');
    expect(census.look(2000, listed({ a: undefined }))).toEqual(['a']);
  });

  it('loses none within the grace after a disturbance, and each one that stays away at its end, over any looks', () => {
    const look = fc.record({
      waitMs: fc.integer({ min: 0, max: 3000 }),
      gone: fc.subarray(['a', 'b', 'c']),
      isDisturbed: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(look, { maxLength: 60 }), (looks) => {
        const census = new Census<number>(times, 0);
        let [now, quietUntil] = [0, times.graceMs];
        const missingSince = new Map<string, number>();
        for (const { waitMs, gone, isDisturbed } of looks) {
          now += waitMs;
          if (isDisturbed) {
            census.disturbed(now);
            quietUntil = now + times.graceMs;
          }
          const all = listed(
            Object.fromEntries(['a', 'b', 'c'].map((id) => [id, gone.includes(id) ? undefined : now])),
          );
          const lost = census.look(now, all);
          if (now < quietUntil) expect(lost).toEqual([]);
          for (const id of lost) {
            expect(gone).toContain(id);
            expect(now - (missingSince.get(id) ?? now)).toBeGreaterThanOrEqual(times.secondLookMs);
          }
          for (const id of ['a', 'b', 'c'])
            if (!gone.includes(id)) missingSince.delete(id);
            else if (!missingSince.has(id)) missingSince.set(id, now);
        }
        // Whoever stays away is lost in the end, unless that was said.
        now += times.graceMs;
        census.look(now, listed({}));
        census.look(now + 1000, listed({}));
        expect(census.alive.size).toBe(0);
      }),
    );
  });
});
