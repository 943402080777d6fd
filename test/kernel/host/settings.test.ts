// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders as users write them

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../../../kernel/host/config/read-config.js';
import { check } from '../../../kernel/sdk/check-request.js';
import { tempFolder } from '../../support/kernel.js';
import { times } from '../../support/thorough.js';

const schema = z.strictObject({
  prompt: z.string().default(''),
  steps: z.int().optional(),
  share: z.number().optional(),
  count: z.union([z.int().min(1), z.literal('auto')]).optional(),
  shown: z.boolean().optional(),
  names: z.array(z.union([z.string(), z.array(z.string())])).optional(),
  url: z.union([z.string(), z.array(z.string())]).optional(),
  limits: z.strictObject({ perMinute: z.int().optional() }).optional(),
  options: z.record(z.string(), z.unknown()).optional(),
});

const yaml = 'plugins: { agent-bee: { config: { prompt: file, names: [a] } }, agent-wasp: }';

/** The checked config of `agent-bee` with these variables, and everything that is wrong. */
async function beeWith(env: Readonly<Record<string, string>>, text = yaml) {
  const folder = tempFolder();
  const { plugins, server, issues } = await readConfig([folder.write('a.yaml', text)], env);
  const bee = plugins.find(({ id }) => id === 'agent-bee');
  const checked = await check(schema, bee?.config ?? {}, bee?.origin);
  return { config: checked.value, server, plugins, issues: [...issues, ...(checked.issues ?? [])] };
}

describe('an environment variable for one key', () => {
  it.each<[string, string, object]>([
    ['prompt', 'Be brief', { prompt: 'Be brief' }],
    ['prompt', '', { prompt: '' }],
    ['prompt', '7', { prompt: '7' }],
    ['prompt', '["a"]', { prompt: '["a"]' }],
    ['prompt', '${NOT_A_PLACEHOLDER}', { prompt: '${NOT_A_PLACEHOLDER}' }],
    ['steps', '7', { steps: 7 }],
    ['share', '1e-1', { share: 0.1 }],
    ['count', '4', { count: 4 }],
    ['count', 'auto', { count: 'auto' }],
    ['shown', 'true', { shown: true }],
    ['names', '["b",["c","d"]]', { names: ['b', ['c', 'd']] }],
    ['url', 'http://a', { url: 'http://a' }],
    ['url', ' ["http://a"]', { url: ['http://a'] }],
    ['limits', '{"perMinute":3}', { limits: { perMinute: 3 } }],
    ['limits__perMinute', '3', { limits: { perMinute: 3 } }],
    ['options__num_ctx', '4096', { options: { num_ctx: 4096 } }],
    ['options__stop', 'END', { options: { stop: 'END' } }],
  ])('stands above the files: %s=%s', async (key, text, expected) => {
    const { config, issues } = await beeWith({ [`WAGGLE__agent_bee__${key}`]: text });
    expect(issues).toEqual([]);
    expect(config).toMatchObject(expected);
  });

  it('replaces a placeholder whose own variable is not set', async () => {
    const text = 'plugins: { agent-bee: { config: { prompt: "${UNSET}" } } }';
    expect((await beeWith({}, text)).issues).toHaveLength(1);
    const { config, issues } = await beeWith({ WAGGLE__agent_bee__prompt: 'x' }, text);
    expect([config, issues]).toEqual([{ prompt: 'x' }, []]);
  });

  it('sets the keys of an entry and of the server, too', async () => {
    const { plugins, server, issues } = await beeWith({
      WAGGLE__agent_wasp__enabled: 'false',
      WAGGLE__agent_bee__use: './bee.js',
      WAGGLE__server__drainTimeoutMs: '5',
      WAGGLE__server__logLevels__agent_bee: 'debug',
    });
    expect(issues).toEqual([]);
    expect(plugins).toMatchObject([{ use: './bee.js' }, { enabled: false }]);
    expect(server).toMatchObject({ drainTimeoutMs: 5, logLevels: { 'agent-bee': 'debug' } });
  });

  it.each<[string, string, RegExp]>([
    [
      'WAGGLE__agent_be__prompt',
      'x',
      /: the config has no plugin "agent-be", did you mean "WAGGLE__agent_bee"\?$/,
    ],
    ['WAGGLE__agent_bee__promt', 'x', /: agent-bee\.promt: unknown key, did you mean "prompt"\?$/],
    [
      'WAGGLE__agent_bee__steps',
      'many',
      /: agent-bee\.steps: expected integer, got string from \$\{WAGGLE__/,
    ],
    ['WAGGLE__agent_bee__names', '["secret', /: agent-bee\.names: expected list, got string from/],
    [
      'WAGGLE__agent_bee__names',
      '[{"secret":1}]',
      /: agent-bee\.names\.0: expected string or list, got map$/,
    ],
    [
      'WAGGLE__agent_bee__names',
      '["ok",7]',
      /: agent-bee\.names\.1: expected .*, got number from \$\{WAGGLE__/,
    ],
    ['WAGGLE__agent_bee__names__0', 'x', /: agent-bee\.names is set as a whole, and is no map$/],
    ['WAGGLE__agent_bee', '{}', /: this names no key; write WAGGLE__plugin__key$/],
    ['WAGGLE__agent_bee____x', '1', /: this names no key/],
    ['WAGGLE__agent_bee__constructor', '1', /: this names no key/],
    ['WAGGLE__server__port', '80', /: server\.port: unknown key/],
    ['WAGGLE__server__logLevel', 'loud', /: server\.logLevel: expected one of "trace".*, got string from/],
  ])('that is wrong is an error with its name: %s=%s', async (name, text, expected) => {
    const { issues } = await beeWith({ [name]: text });
    expect(issues).toEqual([expect.stringMatching(expected)]);
    expect(issues[0]?.startsWith(`${name}: `)).toBe(true);
    expect(issues[0]).not.toContain('secret"');
  });

  it('never throws, whatever its name and its text are', async () => {
    const part = fc.constantFrom(
      'agent_bee',
      'agent-bee',
      'server',
      'prompt',
      'limits',
      '__proto__',
      'plugins',
      '',
      '_',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), fc.string(), async (parts, text) => {
        const name = `WAGGLE__${parts.join('__')}`;
        const { issues } = await beeWith({ [name]: text });
        expect(Array.isArray(issues)).toBe(true);
        expect({}).not.toHaveProperty('limits');
      }),
      { numRuns: times(100) },
    );
  });
});

describe('the source of a value', () => {
  it('is its file with the line, its variable, or nothing for a default', async () => {
    const folder = tempFolder();
    const low = folder.write(
      'low.yaml',
      'plugins:\n  agent-bee:\n    config:\n      prompt: a\n      names: [a, b]\n',
    );
    const high = folder.write(
      'high.yaml',
      'x-same: &same\n  steps: 3\nplugins:\n  agent-bee:\n    config:\n      <<: *same\n      url: "${URL:-x}"\n      shown: "${SHOWN}"\n',
    );
    const config = await readConfig([low, high], { SHOWN: 'true', WAGGLE__agent_bee__share: '1' });
    const at = (...keys: (string | number)[]) => config.sourceOf(['plugins', 'agent-bee', 'config', ...keys]);
    expect(at('prompt')).toMatchObject({ file: low, line: 4, variable: undefined });
    expect(at('names', 1)).toMatchObject({ file: low, line: 5 });
    expect(at('steps')).toMatchObject({ file: high, line: 2 });
    expect(at('url')).toMatchObject({ file: high, line: 7, variable: undefined });
    expect(at('shown')).toMatchObject({ variable: 'SHOWN' });
    expect(at('share')).toMatchObject({ variable: 'WAGGLE__agent_bee__share', line: undefined });
    expect(at('limits')).toBeUndefined();
  });
});
