import { type Logger, pino } from 'pino';

/** The logger of a plugin. */
export type { Logger } from 'pino';

/** The logger of a kernel that was given none. */
export const silentLogger: Logger = pino({ level: 'silent' });

/** Adds to each logged error the plugin in whose code it arose. */
export function withPluginName(logger: Logger, pluginOf: (error: unknown) => string | undefined): Logger {
  const err = (error: Error) => {
    const plugin = pluginOf(error);
    const plain = pino.stdSerializers.err(error);
    // Anything can be thrown, and a text has to stay one.
    return plugin ? { ...plain, plugin } : plain;
  };
  return logger.child({}, { serializers: { err } });
}
