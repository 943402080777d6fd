import type { KernelReport, PluginReport } from '../../plugin.js';

const headings = ['plugin', 'version', 'state', 'setup', 'provides', 'registers'];

/** Table of the plugins of a report, one line each. */
export function pluginTable({ plugins }: KernelReport): string {
  const rows = [headings, ...plugins.map(rowOf)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function rowOf({ id, version, state, setupMs, provides, effects, error }: PluginReport): readonly string[] {
  // Services have their own column, and hooks do not tell plugins apart.
  const registered = effects.filter((label) => !/^(provide .*|onReady|onDrain)$/.test(label));
  return [
    id,
    version ?? '-',
    state,
    `${setupMs.toFixed(1)} ms`,
    provides.join(', ') || '-',
    error === undefined ? registered.join(', ') || '-' : error.replace(/\s*\n\s*/g, ' '),
  ];
}
