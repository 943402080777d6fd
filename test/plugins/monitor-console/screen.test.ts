import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Screen } from '../../../plugins/monitor-console/screen.js';
import { TerminalScreen } from '../../support/terminal.js';

/** A terminal on which the log is written, too. */
class FakeTerminal extends EventEmitter {
  readonly screen: TerminalScreen;

  constructor(rows: number, columns = 40) {
    super();
    this.screen = new TerminalScreen(rows, columns);
  }

  get rows(): number {
    return this.screen.rows;
  }

  get columns(): number {
    return this.screen.columns;
  }

  write(text: string): void {
    this.screen.write(text.replaceAll('\n', '\r\n'));
  }

  log(...lines: readonly (string | number)[]): void {
    for (const line of lines) this.write(`${line}\n`);
  }

  resize(rows: number, columns = this.columns): void {
    this.screen.resize(rows, columns);
    this.emit('resize');
  }
}

function opened(rows: number, before: readonly (string | number)[] = []) {
  const terminal = new FakeTerminal(rows);
  terminal.log(...before);
  const table = { lines: ['top', 'bottom'] };
  const screen = new Screen(terminal, (width) => table.lines.map((line) => `${line} ${width}`));
  const close = screen.open();
  return { terminal, table, screen, close, shown: () => terminal.screen.lines };
}

describe('the screen', () => {
  it('keeps its lines at the bottom while the log scrolls above', () => {
    const { terminal, shown } = opened(8, ['before']);
    expect(shown()).toEqual(['before', '', '', '', '', '', 'top 40', 'bottom 40']);
    terminal.log(1, 2);
    expect(shown()).toEqual(['before', '1', '2', '', '', '', 'top 40', 'bottom 40']);
    terminal.log(3, 4, 5, 6, 'x'.repeat(50));
    expect(shown()).toEqual(['4', '5', '6', 'x'.repeat(40), 'x'.repeat(10), '', 'top 40', 'bottom 40']);
  });

  it.each([
    ['one short of the width', 'x'.repeat(39)],
    ['the width', 'x'.repeat(40)],
    ['one more than the width', 'x'.repeat(41)],
    ['one short of two rows', 'x'.repeat(79)],
    ['two rows', 'x'.repeat(80)],
    ['one more than two rows', 'x'.repeat(81)],
    ['the width in wide characters', '蜂'.repeat(20)],
    ['a wide character that does not fit the row', `x${'蜂'.repeat(20)}`],
    ['two rows of emoji', '🐝'.repeat(40)],
    ['an emoji that does not fit the row', `${'x'.repeat(39)}🐝`],
    ['marks after the last cell', `${'e\u0301'.repeat(40)}`],
    ['colours, as JSON has them', JSON.stringify(`\x1b[31m${'red'.repeat(20)}\x1b[0m`)],
    ['colours, as somebody else writes them', `\x1b[31m${'x'.repeat(40)}\x1b[0m`],
  ])('keeps its lines below a line of %s, which is whole', (_, line) => {
    const { terminal, screen, shown } = opened(8, ['before']);
    for (let round = 0; round < 4; round++) {
      terminal.log(line);
      screen.draw();
      expect(shown().slice(-2)).toEqual(['top 40', 'bottom 40']);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals are made of
      const visible = line.replace(/\x1b\[\d+m/g, '');
      expect(shown().slice(0, -2).join('').endsWith(visible)).toBe(true);
      expect(terminal.screen.cursor.column).toBe(0);
    }
  });

  it('moves up what is in its way', () => {
    const { shown } = opened(8, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(shown()).toEqual(['5', '6', '7', '8', '9', '', 'top 40', 'bottom 40']);
  });

  it('draws anew, and the log goes on where it was', () => {
    const { terminal, table, screen, shown } = opened(8);
    terminal.log(1);
    table.lines = ['newer', 'x'];
    screen.draw();
    terminal.log(2);
    expect(shown()).toEqual(['1', '2', '', '', '', '', 'newer 40', 'x 40']);
    expect(terminal.screen).toMatchObject({ wraps: true, showsCursor: true });
  });

  it('takes no more room than its lines need', () => {
    const { terminal, table, screen, shown } = opened(8, [1, 2, 3, 4, 5]);
    table.lines = ['a', 'b', 'c'];
    screen.draw();
    expect(shown()).toEqual(['2', '3', '4', '5', '', 'a 40', 'b 40', 'c 40']);
    table.lines = ['a'];
    screen.draw();
    terminal.log(6, 7, 8);
    expect(shown()).toEqual(['3', '4', '5', '6', '7', '8', '', 'a 40']);
  });

  it.each([
    [6, ['2', '3', '4', '5', '', 'top 40']],
    [5, ['2', '3', '4', '5', '']],
    [2, ['5', '']],
  ])('leaves the log its lines on a terminal of %i rows', (rows, expected) => {
    const { terminal, shown, close } = opened(rows, [1, 2]);
    terminal.log(3, 4, 5);
    expect(shown()).toEqual(expected);
    void close();
    expect(terminal.screen.region).toEqual([0, rows - 1]);
  });

  it('follows the size of the terminal, and leaves nothing of itself behind', () => {
    const { terminal, shown } = opened(8, [1, 2, 3, 4]);
    terminal.resize(12, 20);
    terminal.log(5);
    expect(shown()).toEqual(['1', '2', '3', '4', '5', '', '', '', '', '', 'top 20', 'bottom 20']);
    terminal.resize(7, 30);
    terminal.log(6);
    expect(shown()).toEqual(['3', '4', '5', '6', '', 'top 30', 'bottom 30']);
    terminal.resize(3);
    expect(shown()).toEqual(['5', '6', '']);
    terminal.resize(9);
    expect(shown()).toEqual(['5', '6', '', '', '', '', '', 'top 30', 'bottom 30']);
  });

  it('takes a terminal that does not know its size for a usual one', () => {
    const sizeless = { written: '', columns: 0, rows: 0, on: () => {}, off: () => {} };
    const terminal = { ...sizeless, write: (text: string) => void usual.write(text) };
    const usual = new TerminalScreen(24, 80);
    const close = new Screen(terminal, (width) => [`${width}`]).open();
    expect(usual.lines[23]).toBe('80');
    void close();
  });

  it('gives the terminal back, and asks for nothing more', () => {
    const listeners = () => ['exit', 'SIGTSTP', 'SIGCONT'].map((name) => process.listenerCount(name));
    const before = listeners();
    const { terminal, close, shown } = opened(8, [1, 2, 3, 4, 5, 6]);
    expect(listeners()).toEqual(before.map((count) => count + 1));
    terminal.log(7);
    void close();
    terminal.log(8, 9, 10);
    expect(shown()).toEqual(['4', '5', '6', '7', '8', '9', '10', '']);
    expect(terminal.screen).toMatchObject({ region: [0, 7], wraps: true, showsCursor: true });
    expect(listeners()).toEqual(before);
    expect(terminal.listenerCount('resize')).toBe(0);
    terminal.resize(9);
    expect(shown()[7]).toBe('');
  });

  it('gives the terminal back when the process exits, once', () => {
    const { terminal, close, shown } = opened(8, [1]);
    const leave = process.listeners('exit').at(-1) as () => void;
    leave();
    expect(shown()).toEqual(['1', '', '', '', '', '', '', '']);
    terminal.log(2, 3);
    void close();
    expect(shown()).toEqual(['1', '2', '3', '', '', '', '', '']);
  });
});
