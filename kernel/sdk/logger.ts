import { type DestinationStream, type Logger, pino } from 'pino';

/** Levels of logging, from everything to nothing. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** A level of logging. */
export type LogLevel = (typeof logLevels)[number];

/** Lines that wait for room on a full disk; beyond this they are lost. */
const backlogLimitBytes = 1024 * 1024;
/** DEL and the C1 controls, with what some readers end a line at; marks that turn the direction of writing round. */
const unprintable = /[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const secretKeys = ['password', 'secret', 'token', 'apiKey', 'authorization', 'cookie'];

/**
 * JSON lines on standard output, written before the call returns: a transport thread would lose the last lines of a
 * crash. Values of keys that name secrets are replaced, down to three levels. Each record is one line to every reader.
 */
export function createLogger(
  level: LogLevel = 'info',
  destination: DestinationStream = standardOutput(),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: secretKeys.flatMap((key) => [key, `*.${key}`, `*.*.${key}`]),
        censor: '[redacted]',
      },
    },
    { write: (line) => destination.write(line.replace(unprintable, escaped)) },
  );
}

/** Only strings hold them, keys included, so that the line remains the same JSON. */
function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** Standard output for a log. One that cannot be written, as on a full disk, is no reason to end; it says so once on standard error. */
export function standardOutput(): DestinationStream {
  const destination = pino.destination({ dest: 1, sync: true, maxLength: backlogLimitBytes });
  let failing = false;
  destination.on('write', () => {
    failing = false;
  });
  destination.on('error', (error: NodeJS.ErrnoException) => {
    // EPIPE: its reader has left.
    if (failing || error.code === 'EPIPE') return;
    failing = true;
    const standardError = pino.destination({ dest: 2, sync: true });
    // It may be the same file.
    standardError.on('error', () => {});
    standardError.write(`waggle: the log cannot be written: ${error.message}\n`);
  });
  return destination;
}
