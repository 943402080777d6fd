import type { DestinationStream } from 'pino';

const levels: Readonly<Record<string, readonly [name: string, colour: number]>> = {
  trace: ['TRACE', 90],
  debug: ['DEBUG', 90],
  info: ['INFO ', 32],
  warn: ['WARN ', 33],
  error: ['ERROR', 31],
  fatal: ['FATAL', 31],
};
const dim = 2;
/** Characters that a terminal could act on or that end a line for some readers. */
const unprintable = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The formats of the log: `auto` is for people on a terminal and JSON elsewhere. */
export const logFormats = ['auto', 'json', 'pretty'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Whether to write for people. */
export function isPretty(format: LogFormat): boolean {
  if (format !== 'auto') return format === 'pretty';
  return process.stdout.isTTY === true && process.env.TERM !== 'dumb';
}

/** Turns lines of JSON into lines for people. */
export function prettyLog(destination: DestinationStream, hasColours: boolean): DestinationStream {
  return { write: (line) => destination.write(prettyLine(line, hasColours)) };
}

/** `07:00:00.123 INFO  transport-uws: listening port=9797`, with the stack of an error below. */
export function prettyLine(line: string, hasColours: boolean): string {
  const { level, time, plugin, msg, err, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const { type: _, message, stack, ...details } = isMap(err) ? err : err === undefined ? {} : { err };
  const pairs = Object.entries({ ...fields, ...details }).map(([key, value]) => `${key}=${shown(value)}`);
  const paint = (text: string, colour: number) =>
    hasColours && text ? `\x1b[${colour}m${text}\x1b[0m` : text;
  const [name, colour] = levels[String(level)] ?? [String(level), dim];
  const said = [
    paint(timeOf(time), dim),
    paint(name, colour),
    visible(`${plugin === undefined ? '' : `${plugin}: `}${msg ?? message ?? ''}`),
    paint(visible(pairs.join(' ')), dim),
    ...(typeof stack === 'string' ? [paint(indented(stack), dim)] : []),
  ];
  return `${said.filter(Boolean).join(' ')}\n`;
}

function indented(stack: string): string {
  return stack
    .split('\n')
    .map((line) => `\n    ${visible(line.trim())}`)
    .join('');
}

function timeOf(time: unknown): string {
  const date = new Date(String(time));
  const two = (value: number, digits = 2) => String(value).padStart(digits, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${two(date.getMilliseconds(), 3)}`;
}

/** A text without blanks as it is, everything else as JSON. */
function shown(value: unknown): string {
  return typeof value === 'string' && /^[^\s"'=\\]+$/.test(value) ? value : JSON.stringify(value);
}

function visible(text: string): string {
  return text.replace(unprintable, (character) => {
    if (character === '\n') return '\\n';
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
