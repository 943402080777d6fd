import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { schemaText } from '../../../kernel/host/config/write-editor-schema.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const text = readFileSync(`${root}config/schema.json`, 'utf8');
const ajv = new Ajv({ allErrors: true, strictTypes: false });
const validate = ajv.compile(JSON.parse(text));

/** Where a config file is wrong, as an editor would show it. */
function issues(yaml: string): readonly string[] {
  if (validate(parse(yaml))) return [];
  return [...new Set(validate.errors?.map(({ instancePath }) => instancePath))];
}

describe('config/schema.json', () => {
  it('is current', async () => {
    const isCurrent = text === (await schemaText());
    expect(isCurrent, 'config/schema.json is not that of these plugins; run: npm run schema').toBe(true);
  });

  const files = readdirSync(`${root}config`).filter((name) => name.endsWith('.yaml'));
  it.each(files)('takes config/%s, which names it for editors', (name) => {
    const yaml = readFileSync(`${root}config/${name}`, 'utf8');
    expect(yaml).toMatch(/^# yaml-language-server: \$schema=\.\/schema\.json\n/);
    expect(issues(yaml)).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['a plugin without a config', 'plugins: { agent-eliza: }'],
    [
      'variables where numbers, switches and choices belong',
      [
        'server: { logLevel: "${LEVEL:-info}", drainTimeoutMs: "${DRAIN}" }',
        'plugins: { transport-uws: { enabled: "${ON:-true}", config: { port: "${PORT:-80}" } } }',
      ].join('\n'),
    ],
    [
      "somebody else's plugin with a config of its own",
      'plugins: { mine: { use: ./mine.js, config: { a: 1 } } }',
    ],
    ['a plugin of the extensions', 'plugins: { agent-shout: { config: { mark: "!" } } }'],
    [
      "somebody else's plugin in the place of a built-in one",
      'plugins: { store-memory: { use: ./x.js, config: { a: 1 } } }',
    ],
    [
      'a built-in plugin in the place of another one',
      'plugins: { store-memory: { use: store-sqlite, config: { path: c } } }',
    ],
  ])('takes %s', (_, yaml) => {
    expect(issues(yaml)).toEqual([]);
  });

  it.each([
    ['an unknown key', 'sever: {}', ''],
    ['an unknown key of a plugin', 'plugins: { mine: { uses: ./x.js } }', '/plugins/mine'],
    [
      'an unknown key of a built-in config',
      'plugins: { store-memory: { config: { path: c } } }',
      '/plugins/store-memory/config',
    ],
    [
      'a wrong type',
      'plugins: { transport-uws: { config: { port: "80" } } }',
      '/plugins/transport-uws/config/port',
    ],
    ['a number that is out of range', 'server: { drainTimeoutMs: -1 }', '/server/drainTimeoutMs'],
    [
      'a wrong config of a second instance',
      'plugins: { b: { use: agent-eliza, config: { sed: 1 } } }',
      '/plugins/b/config',
    ],
    [
      'a wrong config of what takes the place of another one',
      'plugins: { store-memory: { use: store-sqlite, config: { pat: c } } }',
      '/plugins/store-memory/config',
    ],
    ['something that is no variable', 'server: { drainTimeoutMs: "$DRAIN" }', '/server/drainTimeoutMs'],
  ])('shows %s', (_, yaml, where) => {
    expect(issues(yaml)).toContain(where);
  });

  it('tells what a key is for, and what it is when nothing is said', () => {
    const { definitions } = JSON.parse(text);
    expect(definitions['transport-uws'].properties.port).toMatchObject({
      description: '0 takes any free one.',
      default: 9797,
    });
  });
});
