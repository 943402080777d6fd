import type { PluginChange } from '../../contracts/report.js';
import type { Difference } from './live-config.js';
import type { Touched } from './touched.js';

const nothing: Touched = { replies: 0, connections: 0 };

/** A difference in lines for a terminal. `touched`: the running work of plugins before it. */
export function differenceText(
  { plugins, settings, waiting }: Difference,
  touched: ReadonlyMap<string, Touched>,
): string {
  const rows = [
    ...plugins.map((change) => [
      change.action,
      change.plugin,
      detailOf(change, touched.get(change.plugin) ?? nothing),
    ]),
    ...settings.map((key) => ['update', `server.${key}`, '']),
    ...waiting.map((key) => ['later', `server.${key}`, 'takes effect when the server is started again']),
  ];
  if (rows.length === 0) return 'Nothing has changed.\n';
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const line = ([action = '', name = '', detail = '']: readonly string[]) =>
    `${action.padEnd(widths[0] as number)}  ${name.padEnd(widths[1] as number)}  ${detail}`.trimEnd();
  return `${rows.map(line).join('\n')}\n`;
}

function detailOf({ action, keys }: PluginChange, { replies, connections }: Touched): string {
  const what = [
    count(replies, 'running reply', 'running replies'),
    count(connections, 'connection', 'connections'),
  ];
  const work = what.filter(Boolean).join(' and ');
  const [one, many] = fates[action];
  const fate = replies + connections > 1 ? many : one;
  return [keys.join(', '), work && fate ? `${work} ${fate}` : ''].filter(Boolean).join('; ');
}

/** The fate of running work: of one piece, and of several. */
const fates = {
  start: ['', ''],
  stop: ['ends', 'end'],
  restart: ['ends', 'end'],
  replace: ['goes on with the former settings', 'go on with the former settings'],
  update: ['goes on', 'go on'],
} as const;

function count(n: number, one: string, many: string): string {
  return n === 0 ? '' : `${n} ${n === 1 ? one : many}`;
}
