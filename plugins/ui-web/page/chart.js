import uPlot from 'uplot';
import { element } from './elements.js';

/**
 * @typedef {object} Curve
 * @property {string} label
 * @property {string} colour a custom property of the style sheet
 * @property {(sample: any) => number} value
 */

const seconds = 120;
const heightPx = 132;

/** A chart of the last two minutes. */
export class Chart {
  element;
  #canvas = element('div', { className: 'canvas', role: 'img' });
  #now = element('output', { className: 'now' });
  #title;
  #unit;
  #curves;
  /** @type {uPlot | undefined} */
  #plot;
  /** @type {uPlot.AlignedData} */
  #data = [[]];
  #width = 0;

  /** @param {{ title: string, unit: string, curves: readonly Curve[] }} options */
  constructor({ title, unit, curves }) {
    this.#title = title;
    this.#unit = unit;
    this.#curves = curves;
    const legend = curves.length > 1 ? curves.map(keyOf) : [];
    const head = element(
      'figcaption',
      {},
      element('span', { className: 'name' }, title),
      ...legend,
      this.#now,
    );
    this.element = element('figure', { className: 'chart' }, head, this.#canvas);
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    document.addEventListener('themechange', () => this.#draw());
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /** @param {readonly any[]} samples oldest first, one per second */
  show(samples) {
    const last = samples.length - 1;
    const shown = samples.slice(-seconds - 1);
    this.#data = [
      shown.map((_, index) => index - shown.length + 1),
      ...this.#curves.map(({ value }) => shown.map(value)),
    ];
    const [now = 0] = this.#curves.map(({ value }) => (last < 0 ? 0 : value(samples[last])));
    const text = last < 0 ? '–' : `${now.toLocaleString('en')}${this.#unit}`;
    if (this.#now.textContent !== text) this.#now.textContent = text;
    const peak = Math.max(
      0,
      ...this.#data.slice(1).flatMap((values) => [.../** @type {number[]} */ (values)]),
    );
    this.#canvas.setAttribute('aria-label', `${this.#title}: ${text} now, ${peak}${this.#unit} at most`);
    if (this.#plot) this.#plot.setData(this.#data);
    else this.#draw();
  }

  #fit() {
    const width = Math.floor(this.#canvas.clientWidth);
    if (width === this.#width || width === 0) return;
    this.#width = width;
    if (this.#plot) this.#plot.setSize({ width, height: heightPx });
    else this.#draw();
  }

  #draw() {
    if (this.#width === 0) return;
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    // Canvas does not support CSS colour functions.
    const colour = (/** @type {string} */ name) => {
      const probe = element('i', { hidden: true });
      probe.style.color = `var(${name})`;
      document.body.append(probe);
      const { color } = getComputedStyle(probe);
      probe.remove();
      return color;
    };
    const font = `11px ${style.getPropertyValue('--sans')}`;
    const axis = { stroke: colour('--soft'), font, ticks: { show: false } };
    const grid = { stroke: colour('--line'), width: 1 };
    this.#plot = new uPlot(
      {
        ...{ width: this.#width, height: heightPx, padding: [8, 16, 0, 0], legend: { show: false } },
        cursor: { show: false },
        scales: {
          x: { time: false, range: [-seconds, 0] },
          // A quiet server is a flat line at the bottom, not magnified noise.
          y: { range: (_, __, max) => [0, Math.max(4, max * 1.15)] },
        },
        axes: [
          {
            ...axis,
            ...{ grid: { show: false }, size: 22, space: 60, incrs: [30, 60] },
            values: (_, splits) => splits.map((at) => (at === 0 ? 'now' : `−${-at} s`)),
          },
          {
            ...axis,
            grid,
            size: 44,
            space: 36,
            values: (_, splits) => splits.map((at) => at.toLocaleString('en')),
          },
        ],
        series: [
          {},
          ...this.#curves.map(({ label, colour: name }, index) => ({
            ...{ label, stroke: colour(name), width: 1.5, points: { show: false } },
            ...(index === 0 && { fill: colour('--wash') }),
          })),
        ],
      },
      this.#data,
      this.#canvas,
    );
  }
}

/** @param {Curve} curve */
function keyOf({ label, colour }) {
  const mark = element('i', { className: 'mark' });
  mark.style.background = `var(${colour})`;
  return element('span', { className: 'key' }, mark, label);
}
