import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dependentsOf, type Orderable, orderPlugins } from '../../kernel/order.js';
import { createToken } from '../../kernel/services.js';

const token = (id: string) => createToken<unknown>(`order.${id}`);

function node(id: string, uses: readonly string[] = [], overrides: Partial<Orderable> = {}): Orderable {
  return { id, requires: uses.map(token), usesOptionally: [], provides: [token(id)], ...overrides };
}

const ids = (plugins: readonly Orderable[]) => plugins.map((plugin) => plugin.id);

/** Plugins without a cycle, in any config order: each uses some of those with a lower rank. */
const graphs = fc
  .array(fc.array(fc.tuple(fc.nat(), fc.boolean()), { maxLength: 4 }), { minLength: 1, maxLength: 12 })
  .map((all) =>
    all.map((uses, rank) => {
      const pick = (isRequired: boolean) =>
        uses
          .filter(([, required]) => rank > 0 && required === isRequired)
          .map(([n]) => token(String(n % rank)));
      return node(String(rank), [], { requires: pick(true), usesOptionally: pick(false) });
    }),
  )
  .chain((plugins) => fc.shuffledSubarray(plugins, { minLength: plugins.length }));

function usesOf(plugins: readonly Orderable[], plugin: Orderable): readonly Orderable[] {
  const tokens = [...plugin.requires, ...plugin.usesOptionally];
  return plugins.filter(({ provides }) => provides.some((each) => tokens.includes(each)));
}

function allUsesOf(plugins: readonly Orderable[], plugin: Orderable): ReadonlySet<Orderable> {
  const found = new Set<Orderable>();
  const visit = (each: Orderable): void => {
    for (const used of usesOf(plugins, each))
      if (!found.has(used)) {
        found.add(used);
        visit(used);
      }
  };
  visit(plugin);
  return found;
}

describe('the order of plugins', () => {
  it('is the one given where nobody needs anybody', () => {
    expect(ids(orderPlugins([node('c'), node('a'), node('b')]))).toEqual(['c', 'a', 'b']);
  });

  it('moves a provider before its first user, and nothing else', () => {
    expect(ids(orderPlugins([node('a'), node('b', ['d']), node('c'), node('d')]))).toEqual([
      'a',
      'd',
      'b',
      'c',
    ]);
  });

  it('counts services that are only wanted, and those may be missing', () => {
    const user = node('user', [], { usesOptionally: [token('late'), token('nobody')] });
    expect(ids(orderPlugins([user, node('late')]))).toEqual(['late', 'user']);
  });

  it('puts providers before users, and lets nobody pass without a need', () => {
    fc.assert(
      fc.property(graphs, (plugins) => {
        const ordered = orderPlugins(plugins);
        expect(ids(ordered).sort()).toEqual(ids(plugins).sort());
        for (const plugin of plugins)
          for (const used of usesOf(plugins, plugin))
            expect(ordered.indexOf(used)).toBeLessThan(ordered.indexOf(plugin));
        for (const [index, early] of plugins.entries())
          for (const late of plugins.slice(index + 1))
            if (ordered.indexOf(late) < ordered.indexOf(early)) {
              const needing = plugins.slice(0, index + 1).some((each) => allUsesOf(plugins, each).has(late));
              expect(needing).toBe(true);
            }
        expect(orderPlugins(ordered)).toEqual(ordered);
      }),
    );
  });

  it('lists every missing requirement at once', () => {
    const plugins = [node('a', ['x', 'y']), node('b', ['a', 'z'])];
    expect(() => orderPlugins(plugins)).toThrow(
      expect.objectContaining({
        code: 'KERNEL_DEPENDENCY_MISSING',
        details: {
          missing: [
            '"a" requires order.x, which no plugin provides',
            '"a" requires order.y, which no plugin provides',
            '"b" requires order.z, which no plugin provides',
          ],
        },
      }),
    );
  });

  it('prints a cycle as its path, without what only leads to it', () => {
    const plugins = [node('start', ['a']), node('a', ['b']), node('b', ['c']), node('c', ['a'])];
    expect(() => orderPlugins(plugins)).toThrow(
      expect.objectContaining({
        code: 'KERNEL_DEPENDENCY_CYCLE',
        message: 'plugins require each other: a -> b -> c -> a',
      }),
    );
    expect(() => orderPlugins([node('self', ['self'])])).toThrow('self -> self');
  });

  it('refuses two providers of one service by name', () => {
    const plugins = [node('a'), node('b', [], { provides: [token('a')] })];
    expect(() => orderPlugins(plugins)).toThrow(
      expect.objectContaining({
        code: 'KERNEL_SERVICE_CONFLICT',
        message: '"b" cannot provide order.a: "a" already does; disable one of them',
      }),
    );
  });
});

describe('dependents', () => {
  it('are all who hold something of a plugin, directly or not, in start order', () => {
    const wanting = node('w', [], { usesOptionally: [token('b')] });
    const ordered = [node('a'), node('b', ['a']), node('other'), node('c', ['b']), wanting];
    const of = (...names: readonly string[]) =>
      ids(
        dependentsOf(
          ordered,
          ordered.filter(({ id }) => names.includes(id)),
        ),
      );
    expect(of('b')).toEqual(['b', 'c', 'w']);
    expect(of('other')).toEqual(['other']);
    expect(of('c', 'other')).toEqual(['other', 'c']);
    expect(of('nobody')).toEqual([]);
  });

  it('are exactly those who use it, whatever the graph', () => {
    fc.assert(
      fc.property(graphs, (plugins) => {
        const ordered = orderPlugins(plugins);
        const [first] = plugins as [Orderable];
        const expected = ordered.filter((each) => each === first || allUsesOf(plugins, each).has(first));
        expect(dependentsOf(ordered, [first])).toEqual(expected);
      }),
    );
  });
});
