import { describe, expect, it } from 'vitest';
import { withPluginName } from '../../kernel/logger.js';
import { createLogger } from '../../kernel/sdk/logger.js';
import { recordingLogger } from '../support/kernel.js';

describe('the log', () => {
  it('is JSON lines with a level by name and a time people can read', () => {
    const { logger, lines } = recordingLogger();
    logger.info({ port: 80 }, 'ready');
    expect(lines).toEqual([
      { level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), port: 80, msg: 'ready' },
    ]);
  });

  it('leaves out what is below its level', () => {
    const written: string[] = [];
    const logger = createLogger('warn', { write: (line) => void written.push(line) });
    logger.info('no');
    logger.warn('yes');
    expect(written).toHaveLength(1);
  });

  it('never shows the value of a key that names a secret, down to three levels and in child loggers', () => {
    const { logger, lines } = recordingLogger();
    const secrets = Object.fromEntries(
      ['password', 'secret', 'token', 'apiKey', 'authorization', 'cookie'].map((key) => [key, 'hunter2']),
    );
    logger.info({ ...secrets, config: { ...secrets, headers: secrets } }, 'a');
    logger.child({ token: 'hunter2' }).child({ plugin: 'p' }).info({ headers: secrets }, 'b');
    logger.error({ err: Object.assign(new Error('x'), secrets) }, 'c');
    expect(lines).toHaveLength(3);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
    expect(lines[0]!.config.headers).toEqual(
      Object.fromEntries(Object.keys(secrets).map((key) => [key, '[redacted]'])),
    );
  });

  it('does not change the objects that it hides things of', () => {
    const { logger } = recordingLogger();
    const headers = { authorization: 'Bearer x' };
    logger.info({ headers }, 'a');
    expect(headers).toEqual({ authorization: 'Bearer x' });
  });
});

describe('a record of the log', () => {
  const code = (character: string) =>
    `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`;
  const controls = Array.from({ length: 33 }, (_, index) => String.fromCharCode(0x7f + index));
  // Where some reader or other ends a line, or lets a terminal act.
  const marks = [
    '\n',
    '\r',
    '\v',
    '\f',
    '\x1b',
    '\x1c',
    '\x1d',
    '\x1e',
    '\0',
    '\u2028',
    '\u2029',
    ...controls,
  ];
  const turning = ['\u061c', '\u200e', '\u200f', '\u202a', '\u202e', '\u2066', '\u2069'];

  it.each([...marks, ...turning].map((mark) => [code(mark), mark]))(
    'with %s is one line, and says the same',
    (_, mark) => {
      const text = `a${mark}b`;
      const written: string[] = [];
      const logger = createLogger('info', { write: (line) => void written.push(line) });
      const err = Object.assign(new Error(text), { [text]: text });
      logger.child({ [text]: text }).info({ [text]: [text, { [text]: text }], err }, text);
      const [line = '', ...more] = written;
      expect(more).toEqual([]);
      expect(line.endsWith('}\n')).toBe(true);
      expect(line.slice(0, -1)).not.toContain(mark);
      const said = JSON.parse(line);
      expect(said).toMatchObject({
        [text]: [text, { [text]: text }],
        msg: text,
        err: { message: text, [text]: text },
      });
    },
  );
});

describe('a logger that blames', () => {
  const blamed = () => {
    const { logger, lines } = recordingLogger();
    const pluginOf = (error: unknown) => (error instanceof TypeError ? 'culprit' : undefined);
    return { logger: withPluginName(logger, pluginOf), lines };
  };

  it('adds the plugin to an error that arose in it, also in child loggers, and to no other', () => {
    const { logger, lines } = blamed();
    logger.error({ err: new TypeError('theirs') }, 'a');
    logger.child({ plugin: 'p' }).error(new TypeError('theirs'));
    logger.error({ err: new Error('ours') }, 'b');
    expect(lines.map(({ err }) => err.plugin)).toEqual(['culprit', 'culprit', undefined]);
    expect(lines[0]!.err).toMatchObject({ type: 'TypeError', message: 'theirs', stack: expect.any(String) });
  });

  it.each(['text', 7, null, { odd: true }])('shows %j, which is no error, as it is', (thrown) => {
    const { logger, lines } = blamed();
    logger.error({ err: thrown }, 'a');
    expect(lines[0]!.err).toEqual(thrown);
  });
});
