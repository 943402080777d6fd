import { describe, expect, it } from 'vitest';
import { Registry } from '../../kernel/registry.js';

const named = (name: string) => ({ name });

describe('a registry', () => {
  it('finds by name and lists in the order of registration', () => {
    const registry = new Registry('thing');
    const [a, b] = [named('a'), named('b')];
    registry.add(b, 'p');
    registry.add(a, 'p');
    expect(registry.find('a')).toBe(a);
    expect(registry.find('c')).toBeUndefined();
    expect([...registry]).toEqual([b, a]);
  });

  it('refuses a name that is taken and says who has it', () => {
    const registry = new Registry('agent');
    const first = named('eliza');
    registry.add(first, 'one');
    expect(() => registry.add(named('eliza'), 'two')).toThrow(
      expect.objectContaining({
        code: 'KERNEL_REGISTRY_CONFLICT',
        message: '"two" cannot register the agent "eliza": "one" already did',
      }),
    );
    expect(registry.find('eliza')).toBe(first);
  });

  it('forgets what is undone, and a late undo takes nothing away from the next owner', () => {
    const registry = new Registry('thing');
    const undo = registry.add(named('a'), 'one');
    void undo();
    expect([...registry]).toEqual([]);
    const next = named('a');
    registry.add(next, 'two');
    void undo();
    expect(registry.find('a')).toBe(next);
  });

  it('may be read while it changes', () => {
    const registry = new Registry('thing');
    const undo = registry.add(named('a'), 'p');
    registry.add(named('b'), 'p');
    const seen: string[] = [];
    for (const { name } of registry) {
      seen.push(name);
      void undo();
    }
    expect(seen).toEqual(['a', 'b']);
  });

  it('does not take names of object members for entries', () => {
    const registry = new Registry('thing');
    for (const name of ['__proto__', 'constructor', 'toString']) expect(registry.find(name)).toBeUndefined();
  });
});
