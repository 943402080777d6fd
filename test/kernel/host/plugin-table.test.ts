import { describe, expect, it } from 'vitest';
import type { PluginReport } from '../../../kernel/contracts/report.js';
import { pluginTable } from '../../../kernel/host/commands/plugin-table.js';

function report(id: string, more: Partial<PluginReport> = {}): PluginReport {
  const { registrations = [] } = more;
  const effects = registrations.map(({ label }) => label);
  return {
    ...{ id, name: id, state: 'active', optional: false, setupMs: 0, provides: [], effects, registrations },
    ...more,
  };
}

describe('the table of plugins', () => {
  it('has a line for each, with what it provides and registers in columns, and the reason where one failed', () => {
    const plugins = [
      report('first', {
        version: '1.2.3',
        setupMs: 12.345,
        provides: ['chat', 'store'],
        registrations: [
          { kind: 'service', name: 'chat', label: 'provide chat' },
          { kind: 'agent', name: 'bee', label: 'agent bee' },
          { kind: 'hook', name: 'onReady', label: 'onReady' },
          { kind: 'route', name: 'GET /bee', label: 'GET /bee' },
          { kind: 'task', name: 'bee:buzz', label: 'task bee:buzz' },
          { kind: 'hook', name: 'onDrain', label: 'onDrain' },
        ],
      }),
      report('the-second', { state: 'failed', error: 'unsatisfied requirements:\n  "a" requires b' }),
    ];
    expect(pluginTable({ state: 'starting', plugins })).toBe(
      [
        'plugin      version  state   setup    provides     registers',
        'first       1.2.3    active  12.3 ms  chat, store  agent bee, GET /bee, task bee:buzz',
        'the-second  -        failed  0.0 ms   -            unsatisfied requirements: "a" requires b',
        '',
      ].join('\n'),
    );
  });
});
