import type { KernelReport, PluginReport } from '../../contracts/report.js';

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

function rowOf({
  id,
  version,
  state,
  setupMs,
  provides,
  registrations,
  error,
}: PluginReport): readonly string[] {
  // Services have a column of their own, and hooks do not describe a plugin.
  const registered = registrations
    .filter(({ kind }) => kind !== 'service' && kind !== 'hook')
    .map(({ label }) => label);
  return [
    id,
    version ?? '-',
    state,
    `${setupMs.toFixed(1)} ms`,
    provides.join(', ') || '-',
    error === undefined ? registered.join(', ') || '-' : error.replace(/\s*\n\s*/g, ' '),
  ];
}
