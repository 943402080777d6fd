import { element } from './elements.js';

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} name
 * @property {(row: Row) => string | number | Node} cell
 * @property {boolean} [figure] aligned as numbers
 */

/**
 * A table that replaces only changed cells, so that readers and the focus are not disturbed.
 * @template Row
 */
export class Table {
  element;
  #columns;
  #keyOf;
  #body = element('tbody');
  #empty;
  /** @type {Map<string, { text: string, row: HTMLTableRowElement }>} */
  #rows = new Map();

  /** @param {string} label @param {readonly Column<Row>[]} columns @param {(row: Row) => string} keyOf @param {string} empty */
  constructor(label, columns, keyOf, empty) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    const head = columns.map(({ name, figure }) =>
      element('th', { scope: 'col', className: figure ? 'figure' : '' }, name),
    );
    const table = element('table', {}, element('thead', {}, element('tr', {}, ...head)), this.#body);
    this.#empty = element('p', { className: 'faint empty' }, empty);
    const frame = element(
      'div',
      { className: 'frame', tabIndex: 0, role: 'group', 'aria-label': label },
      table,
    );
    this.element = element('div', {}, frame, this.#empty);
  }

  /** @param {readonly Row[]} rows */
  show(rows) {
    const before = this.#rows;
    this.#rows = new Map(
      rows.map((row) => {
        const key = this.#keyOf(row);
        const text = JSON.stringify(row);
        const known = before.get(key);
        return [key, known?.text === text ? known : { text, row: changed(known?.row, this.#row(row)) }];
      }),
    );
    const wanted = [...this.#rows.values()].map(({ row }) => row);
    const shown = [...this.#body.children];
    if (wanted.length !== shown.length || wanted.some((row, index) => row !== shown[index]))
      this.#body.replaceChildren(...wanted);
    this.#empty.hidden = rows.length > 0;
    const frame = /** @type {HTMLElement} */ (this.element.firstElementChild);
    frame.hidden = rows.length === 0;
  }

  /** @param {Row} row */
  #row(row) {
    const cells = this.#columns.map(({ cell, figure }, index) => {
      const content = cell(row);
      const shown = content instanceof Node ? content : String(content);
      if (index === 0) return element('th', { scope: 'row' }, shown);
      return element('td', { className: figure ? 'figure' : '' }, shown);
    });
    return element('tr', {}, ...cells);
  }
}

/** The former row with those cells that differ, or the newer one. @param {HTMLTableRowElement | undefined} before @param {HTMLTableRowElement} after */
function changed(before, after) {
  if (!before) return after;
  for (const [index, cell] of [...after.children].entries()) {
    const former = before.children[index];
    if (former && !former.isEqualNode(cell)) former.replaceWith(cell);
  }
  return before;
}
