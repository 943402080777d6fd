import { short } from './number.mjs';

/** One workload as lines of cells, the first one the head. */
export function cellsOf({ unit, reference, rows }) {
  const head = ['server', unit, 'quartiles', `ratio to ${reference}`, 'more'];
  return [
    head,
    ...rows.map(({ name, ours, metrics, ratio, reference: own, busy }) => {
      const { value, ...more } = metrics;
      const others = Object.entries(more).map(([metric, figures]) => `${metric} ${short(figures.median)}`);
      if (busy) others.push(`busy rounds ${busy}`);
      return [
        ours ? `**${name}**` : name,
        short(value?.median),
        value ? `${short(value.q1)} to ${short(value.q3)}` : '–',
        ratio ? `${short(ratio.median)}x${own ? ` of ${own}` : ''}` : '–',
        others.join(', '),
      ];
    }),
  ];
}

/** Cells as a table for a terminal. */
export function plainTable(cells) {
  const clean = cells.map((row) => row.map((cell) => cell.replaceAll('**', '')));
  const widths = clean[0].map((_, column) => Math.max(...clean.map((row) => row[column].length)));
  return clean
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Cells as a table for a page. */
export function markdownTable(cells) {
  const line = (row) => `| ${row.join(' | ')} |`;
  const rule = `|---|${'--:|'.repeat(cells[0].length - 2)}---|`;
  return [line(cells[0]), rule, ...cells.slice(1).map(line)].join('\n');
}

/** One gate as one line. */
export function gateLine({ text, state, used, busy }) {
  const share = used === undefined ? '' : ` (${Math.round(used * 100)} % of what is allowed)`;
  return `${text}: ${state}${share}${busy ? ', on a busy machine' : ''}`;
}
