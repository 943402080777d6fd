import { describe, expect, it } from 'vitest';
import { prettyLine, prettyLog } from '../../../kernel/host/pretty-log.js';
import { createLogger } from '../../../kernel/sdk/logger.js';

/** What is written for people, without colours. */
function written(log: (logger: ReturnType<typeof createLogger>) => void): string {
  let text = '';
  const write = (line: string) => {
    text += line;
  };
  log(createLogger('trace', prettyLog({ write }, false)));
  return text;
}

describe('a log for people', () => {
  it('has the time of day, the level, the plugin, the message and the fields', () => {
    const text = written((logger) => {
      logger
        .child({ plugin: 'transport-uws' })
        .info({ port: 80, host: 'a b', list: [1, { a: 1 }] }, 'listening');
      logger.warn('careful');
      logger.debug({ only: 'fields' });
    });
    const time = String.raw`\d\d:\d\d:\d\d\.\d{3}`;
    expect(text).toMatch(
      new RegExp(
        `^${time} INFO  transport-uws: listening port=80 host="a b" list=\\[1,{"a":1}\\]\n${time} WARN  careful\n${time} DEBUG only=fields\n$`,
      ),
    );
  });

  it('shows an error with its stack and its own fields below the message', () => {
    const err = Object.assign(new Error('it broke'), { code: 'E_BROKE' });
    const text = written((logger) => logger.error({ err }, 'a task failed'));
    const [first, second, third] = text.split('\n');
    expect(first).toMatch(/ERROR a task failed code=E_BROKE\s*$/);
    expect(second).toBe('    Error: it broke');
    expect(third).toMatch(/^ {4}at /);
    expect(written((logger) => logger.error(err))).toMatch(/ERROR it broke code=E_BROKE/);
    expect(written((logger) => logger.error({ err: 'text' }, 'odd'))).toMatch(/ERROR odd err=text\n$/);
    expect(written((logger) => logger.error({ err: null }, 'odd'))).toMatch(/ERROR odd err=null\n$/);
  });

  it('hides secrets as the other one does', () => {
    expect(written((logger) => logger.info({ token: 'hunter2' }, 'a'))).toMatch(/token=\[redacted\]\n$/);
  });

  it.each(['\n', '\r', '\x1b', '\0', '\x7f', '\x9b', '\u2028', '\u202e', '\ud800', '\t'])(
    'lets no character act on the terminal: %j',
    (mark) => {
      const text = written((logger) => {
        const err = new Error(`a${mark}b`);
        err.stack = `Error: a${mark === '\n' ? '' : mark}b`;
        logger
          .child({ plugin: `p${mark}` })
          .info({ [`k${mark}`]: `v${mark}`, deep: { a: mark }, err }, `m${mark}`);
      });
      expect(text.endsWith('\n')).toBe(true);
      expect(text.trimEnd().split('\n')).toHaveLength(2);
      if (mark !== '\n') expect(text).not.toContain(mark);
    },
  );

  it('has colours only where it is told to', () => {
    const line = '{"level":"warn","time":"2026-01-01T00:00:00.000Z","msg":"a","n":1}\n';
    expect(
      prettyLine(line, true)
        .replaceAll('\x1b', '^')
        .replace(/[\d:]+\.\d+/, 'time'),
    ).toBe('^[2mtime^[0m ^[33mWARN ^[0m a ^[2mn=1^[0m\n');
    expect(prettyLine(line, false)).not.toContain('\x1b');
  });
});
