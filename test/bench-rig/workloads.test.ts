import { describe, expect, it } from 'vitest';
import { ahead, atMost } from '../bench/rig/gates.mjs';
import { judge } from '../bench/rig/judgement.mjs';
import { workloads } from '../bench/workloads/index.mjs';

interface Workload {
  readonly id: string;
  readonly contenders: readonly {
    readonly name: string;
    readonly rival?: string;
    readonly reference?: string;
  }[];
  readonly gates: readonly { readonly ours: string; readonly theirs: string }[];
  readonly reference: string;
  readonly references?: readonly string[];
  readonly ours: string;
}

describe.each<Workload>(workloads)('$id', (workload) => {
  const { contenders, gates, reference, references = [], ours } = workload;
  const names = contenders.map(({ name }) => name);

  it('has rows with names of their own', () => {
    expect(new Set(names).size).toBe(names.length);
  });

  it('compares rows that exist', () => {
    const compared = [reference, ours, ...references];
    for (const gate of gates) compared.push(gate.ours, gate.theirs);
    for (const contender of contenders)
      compared.push(contender.rival ?? ours, contender.reference ?? reference);
    expect(compared.filter((name) => !names.includes(name))).toEqual([]);
  });
});

describe('the gate of a row with a label', () => {
  const rounds = [
    { waggle: 9, ws: 1, 'waggle, whole': 2, 'ws, whole': 3 },
    { waggle: 9, ws: 1, 'waggle, whole': 2, 'ws, whole': 4 },
  ].map((round) =>
    Object.fromEntries(Object.entries(round).map(([name, value]) => [name, { metrics: { value } }])),
  );

  it('compares rows of this label only', () => {
    const text = 'whole: ahead of ws, quartiles apart';
    expect(judge(ahead({ name: 'ws' }, 'whole'), rounds)).toMatchObject({ text, state: 'holds' });
    expect(judge(ahead({ name: 'ws' }), rounds)).toMatchObject({ state: 'fails' });
  });

  it('allows so many times the other', () => {
    const text = 'whole: at most 0.5 times ws';
    expect(judge(atMost(0.5, { name: 'ws' }, 'whole'), rounds)).toMatchObject({ text, state: 'fails' });
    expect(judge(atMost(0.7, { name: 'ws' }, 'whole'), rounds)).toMatchObject({ state: 'holds' });
  });
});
