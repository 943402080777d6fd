import type { Logger } from '../logger.js';
import { createLogger, type LogLevel, standardOutput } from '../sdk/logger.js';
import { isPretty, type LogFormat, prettyLog } from './pretty-log.js';

/** The log of a server, on standard output. Lines of one of several processes have its number. */
export function loggerOf(
  { logLevel, logFormat }: { readonly logLevel: LogLevel; readonly logFormat: LogFormat },
  shard?: number,
): Logger {
  const output = standardOutput();
  const hasColours = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const logger = createLogger(logLevel, isPretty(logFormat) ? prettyLog(output, hasColours) : output);
  return shard === undefined ? logger : logger.child({ shard });
}
