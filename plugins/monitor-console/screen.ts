import type { Undo } from '#kernel';

const saveCursor = '\x1b7';
const restoreCursor = '\x1b8';
const eraseBelow = '\x1b[J';
const eraseLine = '\x1b[2K';
const wholeScreen = '\x1b[r';
// Without auto-wrap: a line that the terminal renders wider than expected must not push others down.
const beginPaint = `${saveCursor}\x1b[?25l\x1b[?7l`;
const endPaint = `\x1b[?7h${restoreCursor}\x1b[?25h`;
/** Lines left for the log on a small terminal. */
const minLogLines = 5;

/** The part of `process.stdout` used here. */
interface Terminal {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/** Keeps lines at the bottom of a terminal, below all other output, which scrolls above them. */
export class Screen {
  readonly #terminal: Terminal;
  readonly #linesOf: (width: number) => readonly string[];
  readonly #redraw = () => this.#draw(true);
  readonly #leave = () => this.#giveBack();
  readonly #suspend = () => {
    this.#giveBack();
    process.kill(process.pid, 'SIGSTOP');
  };
  /** Lines reserved at the bottom. */
  #height = 0;

  constructor(terminal: Terminal, linesOf: (width: number) => readonly string[]) {
    this.#terminal = terminal;
    this.#linesOf = linesOf;
  }

  /** Reserves the bottom of the terminal. Undone, or at the end of the process, the terminal is restored. */
  open(): Undo {
    this.#terminal.on('resize', this.#redraw);
    process.on('SIGTSTP', this.#suspend).on('SIGCONT', this.#redraw).on('exit', this.#leave);
    this.draw();
    return () => {
      this.#terminal.off('resize', this.#redraw);
      process.off('SIGTSTP', this.#suspend).off('SIGCONT', this.#redraw).off('exit', this.#leave);
      this.#giveBack();
    };
  }

  draw(): void {
    this.#draw(false);
  }

  #draw(isReset: boolean): void {
    // Terminals of unknown size report 0.
    const rows = this.#terminal.rows || 24;
    const lines = this.#linesOf(this.#terminal.columns || 80).slice(0, Math.max(0, rows - minLogLines));
    const { length: height } = lines;
    const layOut = isReset || height !== this.#height ? `${this.#release()}${reserve(rows, height)}` : '';
    const painted = lines.map((line, index) => `${at(rows - height + 1 + index)}${eraseLine}${line}`);
    this.#terminal.write(`${layOut}${beginPaint}${painted.join('')}${endPaint}`);
    this.#height = height;
  }

  #giveBack(): void {
    this.#terminal.write(this.#release());
    this.#height = 0;
  }

  /** The cursor is above the lines, even after a resize. */
  #release(): string {
    return this.#height > 0 ? `${saveCursor}${wholeScreen}${restoreCursor}${eraseBelow}` : '';
  }
}

/** Reserves the lowest `height` rows: scrolls their content up and limits scrolling to the rows above. */
function reserve(rows: number, height: number): string {
  if (height === 0) return '';
  const room = `${'\n'.repeat(height)}\x1b[${height}A`;
  return `${room}${saveCursor}\x1b[1;${rows - height}r${restoreCursor}`;
}

function at(row: number): string {
  return `\x1b[${row};1H`;
}
