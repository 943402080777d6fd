import type { KernelReport, PluginReport } from '../../plugin.js';

const headings = ['plugin', 'version', 'state', 'setup', 'provides', 'registers'];

/** All plugins of a report, for people to read: a line each, in columns. */
export function pluginTable({ plugins }: KernelReport): string {
  const rows = [headings, ...plugins.map(rowOf)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

function rowOf({ id, version, state, setupMs, provides, effects, error }: PluginReport): readonly string[] {
  // A provided service has a column of its own, and hooks say nothing of what a plugin is for.
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
