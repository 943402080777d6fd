import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdMap, LinkedList, type Place } from '#sdk';

describe('LinkedList', () => {
  it('holds what a list holds, in its order, whatever is added and removed', () => {
    const step = fc.oneof(
      fc.record({ add: fc.constantFrom('push' as const, 'unshift' as const) }),
      fc.record({ remove: fc.nat(20) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const list = new LinkedList<number>();
        const model: Place<number>[] = [];
        const gone: Place<number>[] = [];
        for (const [item, each] of steps.entries()) {
          if ('add' in each) model[each.add](list[each.add](item));
          else {
            const [place] = model.splice(each.remove, 1);
            if (!place) continue;
            expect(list.remove(place)).toBe(true);
            gone.push(place);
          }
          expect([...list]).toEqual(model.map((place) => place.item));
          expect(list.size).toBe(model.length);
          expect(list.first).toBe(model[0]);
        }
        for (const place of gone) {
          expect(list.remove(place)).toBe(false);
          // A link would keep others in memory.
          expect(place).toMatchObject({ list: undefined, previous: undefined, next: undefined });
        }
      }),
    );
  });

  it('goes on behind an item that is removed while it is visited', () => {
    const list = new LinkedList<number>();
    const places = new Map([1, 2, 3].map((item) => [item, list.push(item)]));
    const seen: number[] = [];
    for (const item of list) {
      seen.push(item);
      list.remove(places.get(item) as Place<number>);
    }
    expect(seen).toEqual([1, 2, 3]);
    expect(list.size).toBe(0);
  });
});

describe('IdMap', () => {
  it('finds items by id until they are removed', () => {
    const map = new IdMap<object>();
    const [first, second] = [{}, {}];
    map.set('a', first);
    map.set('b', second);
    expect(map.get('a')).toBe(first);
    expect(map.size).toBe(2);
    expect(map.delete('a')).toBe(true);
    expect(map.delete('a')).toBe(false);
    expect(map.get('a')).toBeUndefined();
    expect([...map.values()]).toEqual([second]);
  });
});
