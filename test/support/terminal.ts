import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import { Waiters } from './waiters.js';

const boundMs = 30_000;

/** Whether programs can be run in a terminal here: that takes `script` of util-linux. */
export const hasTerminal = /util-linux/.test(String(spawnSync('script', ['--version']).stdout));

/** What a terminal shows: the part of a VT100 that this project writes. */
export class TerminalScreen {
  rows: number;
  columns: number;
  wraps = true;
  showsCursor = true;
  /** Rows that scroll, from 0 on, both included. */
  region: readonly [number, number];
  cursor = { row: 0, column: 0 };
  #saved = { row: 0, column: 0 };
  /** Cells: a wide character takes two, of which the second one is ''. */
  #lines: string[][];
  #rest = '';

  constructor(rows: number, columns: number) {
    this.rows = rows;
    this.columns = columns;
    this.region = [0, rows - 1];
    this.#lines = Array.from({ length: rows }, () => []);
  }

  /** All rows, without what is blank at their ends. */
  get lines(): readonly string[] {
    return this.#lines.map((line) => line.join('').trimEnd());
  }

  /** As xterm does it: what is below the cursor goes first, and all rows scroll again. */
  resize(rows: number, columns: number): void {
    const above = Math.max(0, this.cursor.row + 1 - rows);
    this.#lines = Array.from({ length: rows }, (_, row) =>
      (this.#lines[row + above] ?? []).slice(0, columns),
    );
    this.cursor = { ...this.cursor, row: this.cursor.row - above };
    this.rows = rows;
    this.columns = columns;
    this.region = [0, rows - 1];
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals are made of
    const parts = /\x1b(?:\[(?<marks>[?\d;]*)(?<act>[A-Za-z])|(?<single>[78]))|(?<cut>\x1b.*)|[^\x1b]/gsu;
    const all = this.#rest + text;
    this.#rest = '';
    for (const { 0: part, groups } of all.matchAll(parts)) {
      const { marks, act, single, cut } = groups as Record<string, string | undefined>;
      if (cut !== undefined) this.#rest = cut;
      else if (single === '7') this.#saved = { ...this.cursor };
      else if (single === '8') this.cursor = { ...this.#saved };
      else if (act !== undefined) this.#obey(act, marks ?? '');
      else this.#put(part);
    }
  }

  #put(character: string): void {
    const { cursor } = this;
    if (character === '\r') cursor.column = 0;
    else if (character === '\n') this.#feed();
    else {
      const cells = cellsOf(character);
      if (cursor.column + cells.length > this.columns && cells.length > 0) {
        if (this.wraps) {
          cursor.column = 0;
          this.#feed();
        } else cursor.column = this.columns - cells.length;
      }
      const line = this.#lines[cursor.row] as string[];
      while (line.length < cursor.column) line.push(' ');
      if (cells.length === 0) line[line.length - 1] += character;
      else line.splice(cursor.column, cells.length, ...cells);
      cursor.column += cells.length;
    }
  }

  #feed(): void {
    const [top, bottom] = this.region;
    if (this.cursor.row !== bottom) this.cursor.row = Math.min(this.rows - 1, this.cursor.row + 1);
    else {
      this.#lines.splice(top, 1);
      this.#lines.splice(bottom, 0, []);
    }
  }

  #obey(act: string, marks: string): void {
    const numbers = marks.split(';').map(Number);
    const { cursor } = this;
    const { row, column } = cursor;
    if (act === 'r') {
      this.region = marks ? [(numbers[0] ?? 1) - 1, (numbers[1] ?? this.rows) - 1] : [0, this.rows - 1];
      this.cursor = { row: 0, column: 0 };
    } else if (act === 'H') {
      cursor.row = Math.min(this.rows, numbers[0] || 1) - 1;
      cursor.column = Math.min(this.columns, numbers[1] || 1) - 1;
    } else if (act === 'A') cursor.row = Math.max(0, row - (numbers[0] || 1));
    else if (act === 'J') {
      this.#lines = this.#lines.map((line, at) => (at < row ? line : at > row ? [] : line.slice(0, column)));
    } else if (act === 'K' && marks === '2') this.#lines[row] = [];
    else if (marks === '?7') this.wraps = act === 'h';
    else if (act === 'm') return;
    else if (marks === '?25') this.showsCursor = act === 'h';
    else throw new Error(`a terminal was told ${JSON.stringify(marks + act)}, which this one does not know`);
  }
}

/** What a character takes of a line: most take one cell, those of East Asia and emoji two, and marks on others none. */
function cellsOf(character: string): readonly string[] {
  if (/^[\p{M}\u200d]$/u.test(character)) return [];
  return /^[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\p{Emoji_Presentation}\uff01-\uff60]$/u.test(
    character,
  )
    ? [character, '']
    : [character];
}

/** A program in a terminal of its own. */
export class TerminalProcess {
  readonly screen: TerminalScreen;
  readonly exited: Promise<number | null>;
  /** All that it wrote. */
  output = '';
  readonly #process: ChildProcess;
  readonly #waiters = new Waiters();

  /** Runs a line of shell. */
  constructor(command: string, { rows = 24, columns = 80, env = {} } = {}) {
    this.screen = new TerminalScreen(rows, columns);
    const sized = `stty rows ${rows} columns ${columns} && ${command}`;
    this.#process = spawn('script', ['-qfec', sized, '/dev/null'], {
      env: { PATH: process.env.PATH ?? '', TERM: 'xterm', SHELL: '/bin/sh', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.exited = once(this.#process, 'close').then(([code]) => code);
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.screen.write(text);
      this.#waiters.check();
    });
    onTestFinished(() => void this.#process.kill('SIGKILL'));
  }

  /** Resolves when the screen, or all that was written, is as wanted. */
  async until<T>(find: (process: this) => T | undefined | false): Promise<T> {
    const what = () => `such a screen:\n${this.screen.lines.join('\n')}`;
    return this.#waiters.until(() => find(this) || undefined, boundMs, what);
  }
}
