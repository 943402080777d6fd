import { type DestinationStream, type Logger, pino } from 'pino';

/** What plugins log with. */
export type { Logger } from 'pino';

/** From everything to nothing. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
/** How much is logged. */
export type LogLevel = (typeof logLevels)[number];

const secretKeys = ['password', 'secret', 'token', 'apiKey', 'authorization', 'cookie'];

/**
 * JSON lines on standard output, written before the call returns: a transport thread would lose the last lines of a
 * crash. Values of keys that name secrets are replaced, down to three levels.
 */
export function createLogger(
  level: LogLevel = 'info',
  destination: DestinationStream = pino.destination({ dest: 1, sync: true }),
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
    destination,
  );
}

/** A logger that adds to each error the plugin in whose code it arose. */
export function blaming(logger: Logger, pluginOf: (error: unknown) => string | undefined): Logger {
  const err = (error: Error) => {
    const plugin = pluginOf(error);
    const plain = pino.stdSerializers.err(error);
    // Anything can be thrown, and a text has to stay one.
    return plugin ? { ...plain, plugin } : plain;
  };
  return logger.child({}, { serializers: { err } });
}
