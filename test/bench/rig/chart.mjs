import { short } from './number.mjs';

const width = 800;
const labelWidth = 230;
const valueWidth = 70;
const rowHeight = 20;
const barHeight = 12;
const headHeight = 34;
const titleHeight = 64;

/** Per workload, what each other one needs in proportion to ours: 2 is twice as much, 0.5 half of it. */
export function proportionsOf({ rows, ours, atLeast, reference, references = [reference] }) {
  const figureOf = (wanted) => rows.find(({ name }) => name === wanted)?.metrics.value?.median;
  return rows
    .filter((row) => !row.ours && row.metrics.value)
    .map(({ name, rival = ours, metrics: { value } }) => {
      const own = figureOf(rival);
      const times = atLeast ? own / value.median : value.median / own;
      return { name, times, isReference: references.includes(name) };
    })
    .filter(({ times }) => Number.isFinite(times) && times > 0);
}

/** One picture of all workloads, on a logarithmic scale around ours. */
export function chartOf({ workloads }) {
  const groups = Object.entries(workloads)
    .map(([id, workload]) => ({ id, title: workload.title, bars: proportionsOf(workload) }))
    .filter(({ bars }) => bars.length > 0);
  const all = groups.flatMap(({ bars }) => bars.map(({ times }) => times));
  const low = Math.min(0.5, ...all);
  const high = Math.max(2, ...all);
  const barsWidth = width - labelWidth - valueWidth;
  const place = (times) => labelWidth + (Math.log(times / low) / Math.log(high / low)) * barsWidth;
  const parts = [];
  let y = titleHeight;
  for (const { id, title, bars } of groups) {
    parts.push(text(0, y + 22, `${id}  ${title}`, 'head'));
    y += headHeight;
    for (const bar of bars) {
      parts.push(...rowOf(bar, y, place));
      y += rowHeight;
    }
  }
  const height = y + 16;
  const ticks = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100].filter((tick) => tick >= low && tick <= high);
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="t">`,
    '<title id="t">What others need in proportion to Waggle</title>',
    style,
    text(0, 18, 'What others need in proportion to Waggle', 'head'),
    text(
      0,
      36,
      'Right of the line: more than Waggle; left of it: less. Hatched: references that leave out what a server needs.',
    ),
    ...ticks.flatMap((tick) => [
      `<line x1="${round(place(tick))}" x2="${round(place(tick))}" y1="${titleHeight}" y2="${height - 8}" class="${tick === 1 ? 'one' : 'grid'}"/>`,
      text(place(tick), titleHeight - 6, `${tick}x`, 'tick'),
    ]),
    ...parts,
    '</svg>',
  ].join('\n')}\n`;
}

function rowOf({ name, times, isReference }, y, place) {
  const from = Math.min(place(times), place(1));
  const to = Math.max(place(times), place(1));
  const kind = isReference ? 'limit' : times >= 1 ? 'more' : 'less';
  const top = y + (rowHeight - barHeight) / 2;
  return [
    text(labelWidth - 10, y + 14, name, 'name'),
    `<rect x="${round(from)}" y="${top}" width="${round(Math.max(1, to - from))}" height="${barHeight}" rx="2" class="${kind}"/>`,
    text(to + 6, y + 14, `${short(times)}x`),
  ];
}

function text(x, y, content, kind) {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${y}"${kind ? ` class="${kind}"` : ''}>${escaped}</text>`;
}

const round = (value) => Number(value.toFixed(1));

// One picture for light and dark pages: only colours change, and there is no background.
const style = `<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="3" height="6" class="stripe"/></pattern></defs>
<style>
text { font: 12px system-ui, sans-serif; fill: #444c56 }
.head { font-weight: 600; fill: #1f2328 }
.name { text-anchor: end }
.tick { text-anchor: middle; font-size: 11px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.one { stroke: #b7791f; stroke-width: 2 }
.more { fill: #2f6fb0 }
.less { fill: #c2410c }
.limit { fill: url(#hatch) }
.stripe { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #adbac7 }
  .head { fill: #e6edf3 }
  .grid { stroke: #3d444d }
  .one { stroke: #f0b429 }
  .more { fill: #6cb0f5 }
  .less { fill: #ff9b6b }
  .stripe { fill: #768390 }
}
</style>`;
