import { describe, expect, it } from 'vitest';
import { LogLevels } from '../../../kernel/host/log-levels.js';
import { createLogger } from '../../../kernel/sdk/logger.js';
import { plugin, startKernel } from '../../support/kernel.js';

describe('the log levels of a server', () => {
  it('are those of single plugins, of all others, and can be changed while it runs', async () => {
    const lines: string[] = [];
    const logger = createLogger('info', {
      write: (line: string) => void lines.push(JSON.parse(line).plugin),
    });
    const levels = new LogLevels(logger, { logLevel: 'info', logLevels: { loud: 'debug', quiet: 'error' } });
    const say: (() => void)[] = [];
    const speaker = (name: string) =>
      plugin(name, {
        setup: (ctx) =>
          void say.push(
            () => ctx.logger.debug('a'),
            () => ctx.logger.info('b'),
          ),
      });
    const kernel = await startKernel([speaker('loud'), speaker('plain'), speaker('quiet')], {
      logger,
      pluginLogger: levels.pluginLogger,
    });
    const heard = () => {
      lines.length = 0;
      for (const each of say) each();
      return lines.join(' ');
    };
    expect(heard()).toBe('loud loud plain');
    levels.change({ logLevel: 'debug', logLevels: { loud: 'silent' } });
    expect(heard()).toBe('plain plain quiet quiet');
    await kernel.reload(speaker('loud'));
    expect(heard()).toBe('plain plain quiet quiet');
    levels.change({ logLevel: 'silent', logLevels: {} });
    expect(heard()).toBe('');
    await kernel.stop();
  });
});
