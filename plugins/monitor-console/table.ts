import type { Stats } from './docs.js';

const labelWidth = 11;
const cellWidth = { min: 15, max: 18 };
const gap = '  ';

interface Row {
  readonly label: string;
  readonly digits: number;
  /** Undefined for an absent source. */
  readonly cells: Readonly<Record<string, number | undefined>>;
}

/** The stats as lines of at most `width` characters. */
export function tableOf(stats: Stats, width: number): readonly string[] {
  const fitting = Math.floor((width - labelWidth) / (gap.length + cellWidth.min));
  const columns = Math.min(4, Math.max(1, fitting));
  const room = Math.floor((width - labelWidth) / columns) - gap.length;
  const cellChars = Math.min(cellWidth.max, Math.max(cellWidth.min, room));
  const title = `── waggle ── up ${duration(stats.uptimeMs)} `.padEnd(width, '─');
  const lines = rowsOf(stats).flatMap(({ label, digits, cells }) => {
    const texts = Object.entries(cells).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}${figure(value, digits).padStart(cellChars - name.length)}`],
    );
    return linesOf(texts, columns).map((line, index) =>
      [(index === 0 ? label : '').padEnd(labelWidth), ...line].join(gap),
    );
  });
  return [title, ...lines].map((line) => line.slice(0, width));
}

function rowsOf({ connections, streams, tasks, workers, eventLoop, memory }: Stats): readonly Row[] {
  const { urgent, high, normal, low } = tasks?.queued ?? {};
  return [
    { label: 'connections', digits: 0, cells: { open: connections?.open, limit: connections?.limit } },
    {
      label: 'streams',
      digits: 0,
      cells: {
        running: streams?.running,
        waiting: streams?.waiting,
        kept: streams?.kept,
        readers: streams?.readers,
      },
    },
    {
      label: 'tasks',
      digits: 0,
      cells: {
        running: tasks?.running,
        waiting: tasks?.waiting,
        failed: tasks?.failed,
        rejected: tasks?.rejected,
      },
    },
    { label: 'queue', digits: 0, cells: { urgent, high, normal, low } },
    {
      label: 'workers',
      digits: 0,
      cells: { alive: workers?.alive, busy: workers?.busy, lost: workers?.lost },
    },
    {
      label: 'per second',
      digits: 1,
      cells: { tokens: streams?.tokensPerSecond, tasks: tasks?.perSecond },
    },
    {
      label: 'loop lag ms',
      digits: 1,
      cells: { p50: eventLoop.p50Ms, p99: eventLoop.p99Ms, max: eventLoop.maxMs },
    },
    { label: 'memory MB', digits: 1, cells: { rss: memory.rssMb, heap: memory.heapMb } },
  ];
}

function linesOf(cells: readonly string[], columns: number): readonly (readonly string[])[] {
  const count = Math.ceil(cells.length / columns);
  return Array.from({ length: count }, (_, line) => cells.slice(line * columns, (line + 1) * columns));
}

/** A number in at most six characters, the width of a column. */
function figure(value: number, digits: number): string {
  if (value < 10_000) return value.toFixed(digits);
  if (value < 1e6) return value.toFixed(0);
  return value < 1e9 ? `${(value / 1e6).toFixed(1)}M` : `${(value / 1e9).toFixed(1)}G`;
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const two = (value: number) => String(value % 60).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const clock = `${hours % 24}:${two(Math.floor(seconds / 60))}:${two(seconds)}`;
  return hours < 24 ? clock : `${Math.floor(hours / 24)}d ${clock}`;
}
