// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders as users write them

import { writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Config, readConfig } from '../../../kernel/host/config/read-config.js';
import { check } from '../../../kernel/sdk/check-request.js';
import { tempFolder } from '../../support/kernel.js';

type Env = Readonly<Record<string, string | undefined>>;

/** Reads layers called `a.yaml`, `b.yaml` and so on. */
async function read(layers: string | readonly string[], env: Env = {}): Promise<Config> {
  const folder = tempFolder();
  const files = [layers].flat().map((text, index) => folder.write(`${'abc'[index]}.yaml`, text));
  return readConfig(files, env);
}

/** The config of the one plugin that a text configures. */
async function configOf(text: string, env: Env = {}) {
  const { plugins, issues } = await read(`plugins: { p: { config: ${text} } }`, env);
  return { config: plugins[0]?.config, issues };
}

describe('a config file', () => {
  it('says which plugins there are, in its order, and fills in what it leaves out', async () => {
    const config = await read(`
plugins:
  zeta:
  agent:
    use: ./agent.js
    fallback: other
    optional: true
    enabled: false
    config: { greeting: Hi }
extensions: ./more
`);
    expect(config).toEqual({
      server: {
        logLevel: 'info',
        logLevels: {},
        reload: false,
        logFormat: 'auto',
        shards: 1,
        drainTimeoutMs: 10_000,
        pluginTimeoutMs: 10_000,
      },
      plugins: [
        { id: 'zeta', file: expect.any(String), origin: expect.anything(), optional: false, enabled: true },
        {
          id: 'agent',
          file: expect.any(String),
          origin: expect.anything(),
          use: './agent.js',
          fallback: 'other',
          optional: true,
          enabled: false,
          config: { greeting: 'Hi' },
        },
      ],
      extensions: { folder: './more', file: expect.stringMatching(/a\.yaml$/) },
      renamed: [],
      sourceOf: expect.any(Function),
      issues: [],
    });
  });

  it.each([
    ['plugins: { endpoint-openai: { config: { a: 1 } } }', { id: 'endpoint-completions', config: { a: 1 } }],
    ['plugins: { endpoint-openai: }', { id: 'endpoint-completions' }],
    ['plugins: { mine: { use: endpoint-openai } }', { id: 'mine', use: 'endpoint-completions' }],
    ['plugins: { endpoint-openai: { use: ./mine.js } }', { id: 'endpoint-openai', use: './mine.js' }],
  ])('may name a plugin by its former name: %s', async (text, expected) => {
    const { plugins, renamed, issues } = await read(text);
    expect({ plugins, issues }).toMatchObject({ plugins: [expected], issues: [] });
    const isOwn = text.includes('./mine.js');
    expect(renamed).toEqual(isOwn ? [] : [['endpoint-openai', 'endpoint-completions']]);
  });

  it.each(['', '# only a comment', 'server:\nplugins:\n', '{}'])('may be empty: %j', async (text) => {
    const { server, plugins, issues } = await read(text);
    expect({ plugins, issues }).toEqual({ plugins: [], issues: [] });
    expect(server.logLevel).toBe('info');
  });

  it('may be JSON', async () => {
    const { server } = await read('{"server": {"logLevel": "warn"}}');
    expect(server.logLevel).toBe('warn');
  });

  it('that is missing is a mistake with its whole path', async () => {
    const { issues } = await readConfig(['/nowhere/my.yaml'], {});
    expect(issues).toEqual(['/nowhere/my.yaml: no such file']);
  });

  it('that cannot be read is a mistake with its path and the reason', async () => {
    const { path } = tempFolder();
    const { issues } = await readConfig([path], {});
    expect(issues).toEqual([expect.stringMatching(/^\/.*: cannot be read: EISDIR/)]);
  });

  it.each([
    ['a: [1,\nb: 2', /^a\.yaml:2:1: /],
    ['server:\n  logLevel: "open', /^a\.yaml:2:18: Missing closing "quote/],
    ['server:\n\tlogLevel: info', /^a\.yaml:2:1: Tabs are not allowed as indentation/],
    ['plugins:\n  a:\n  a:\n', /^a\.yaml:\d:\d: Map keys must be unique/],
    ['a: 1\n---\nb: 2', /^a\.yaml:2:1: .*multiple documents/],
    ['a: *nobody', /^a\.yaml: Unresolved alias/],
  ])('that is broken is a mistake with line and column: %j', async (text, expected) => {
    const { issues } = await read(text);
    expect(issues).toHaveLength(1);
    expect(issues[0]).toMatch(expected);
    expect(issues[0]).not.toContain('\n');
  });

  it.each(['- a\n- b', 'text', '42'])('that is no map is a mistake: %j', async (text) => {
    expect((await read(text)).issues).toEqual(['a.yaml: expected a map with server, plugins and extensions']);
  });

  it('takes anchors, but not such as blow up or stand inside of themselves', async () => {
    const fine = await read('plugins:\n  a: { config: &same { n: 1 } }\n  b: { config: *same }');
    expect(fine.plugins.map(({ config }) => config)).toEqual([{ n: 1 }, { n: 1 }]);
    const cyclic = await read('plugins: &all\n  a:\n    config: *all');
    expect(cyclic.issues).toEqual([expect.stringMatching(/^a\.yaml: .*circular/)]);
    const bomb = Array.from({ length: 9 }, (_, n) => `  l${n}: &l${n} [${`*l${n - 1},`.repeat(9)}]`);
    bomb[0] = '  l0: &l0 [1]';
    const blown = await read(`plugins:\n${bomb.join('\n')}`);
    expect(blown.issues).toEqual([expect.stringMatching(/^a\.yaml: Excessive alias count/)]);
  });
});

describe('anchors', () => {
  const at = 'plugins: { p: { config: ';
  it.each<[string, string, object]>([
    ['an alias', 'x-same: &same { n: 1 }\nplugins: { p: { config: *same } }', { n: 1 }],
    ['a merge key', `x-same: &same { n: 1, m: 1 }\n${at}{ <<: *same, m: 2 } } }`, { n: 1, m: 2 }],
    [
      'a merge key that comes last',
      `x-same: &same { n: 1, m: 1 }\n${at}{ m: 2, <<: *same } } }`,
      { n: 1, m: 2 },
    ],
    [
      'several of them',
      `x-a: &a { n: 1 }\nx-b: &b { n: 2, m: 2 }\n${at}{ <<: [*a, *b] } } }`,
      { n: 1, m: 2 },
    ],
    ['one in a map of a map', `x-a: &a { n: 1 }\n${at}{ deep: { <<: *a } } } }`, { deep: { n: 1 } }],
    [
      'one that stands on another',
      `x-a: &a { n: 1 }\nx-b: &b { <<: *a, m: 1 }\n${at}{ <<: *b } } }`,
      { n: 1, m: 1 },
    ],
    ['a scalar', `x-port: &port 80\n${at}{ port: *port } } }`, { port: 80 }],
    ['a variable', `x-a: &a { key: "\${KEY}" }\n${at}{ <<: *a } } }`, { key: 'hunter2' }],
  ])('%s may stand under a key x-…', async (_, text, config) => {
    const { plugins, issues } = await read(text, { KEY: 'hunter2' });
    expect(issues).toEqual([]);
    expect(plugins).toMatchObject([{ id: 'p', config }]);
  });

  it.each([
    ['a variable that nobody takes', 'x-a: "${KEY}"', []],
    ['a wrong value', 'x-a: [1]\nserver: {}', []],
    ['a place that is none', 'y-a: 1', ['a.yaml: y-a: unknown key (known: server, plugins, extensions)']],
    [
      'a place that is too deep',
      'server: { x-a: 1 }',
      [
        'a.yaml: server.x-a: unknown key (known: logLevel, logLevels, reload, logFormat, shards, drainTimeoutMs, pluginTimeoutMs)',
      ],
    ],
  ])('%s', async (_, text, expected) => {
    expect((await read(text)).issues).toEqual(expected);
  });

  it.each([
    ['in the map that it names', 'plugins: &all\n  a:\n    config: *all', 'all', 3],
    ['in the list that it names', 'x-a: &list\n  - *list', 'list', 2],
    ['as a merge key', 'x-a: &me\n  <<: *me', 'me', 2],
    ['deep inside', 'x-a: &a\n  b:\n    c: [{ d: *a }]', 'a', 3],
  ])('that are circular are named, and their lines: %s', async (_, text, alias, line) => {
    expect((await read(text)).issues).toEqual([
      `a.yaml: the alias *${alias} in line ${line} is circular: it stands inside of what it names`,
    ]);
  });
});

describe('the bytes of a file', () => {
  const text = 'server: { logLevel: warn } # ä';
  const marked = (mark: number[], bytes: Buffer) => Buffer.concat([Buffer.from(mark), bytes]);
  it.each<[string, Buffer, string[]]>([
    ['UTF-8', Buffer.from(text), []],
    ['UTF-8 with a mark', marked([0xef, 0xbb, 0xbf], Buffer.from(text)), []],
    [
      'UTF-16, little end first',
      marked([0xff, 0xfe], Buffer.from(text, 'utf16le')),
      ['it is UTF-16 or no text at all; save it as UTF-8'],
    ],
    [
      'UTF-16, big end first',
      marked([0xfe, 0xff], Buffer.from(text, 'utf16le').swap16()),
      ['it is UTF-16 or no text at all; save it as UTF-8'],
    ],
    [
      'UTF-16 without a mark',
      Buffer.from(text, 'utf16le'),
      ['it is UTF-16 or no text at all; save it as UTF-8'],
    ],
    ['Latin-1', Buffer.from(text, 'latin1'), ['it is not UTF-8; save it as that']],
    [
      'no text',
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 1]),
      ['it is UTF-16 or no text at all; save it as UTF-8'],
    ],
  ])('%s', async (_, bytes, expected) => {
    const file = tempFolder().write('a.yaml', '');
    writeFileSync(file, bytes);
    const { server, issues } = await readConfig([file], {});
    expect(issues).toEqual(expected.map((what) => `a.yaml: ${what}`));
    expect(server.logLevel).toBe(expected.length === 0 ? 'warn' : 'info');
  });
});

describe('layers', () => {
  it.each([
    ['another module starts without the config of the one before', '{ use: b }', undefined],
    ['another module has its own', '{ use: b, config: { y: 1 } }', { y: 1 }],
    ['the same module keeps it', '{ use: a, config: { y: 1 } }', { path: 'x', y: 1 }],
    ['the slot keeps it', '{ config: { y: 1 } }', { path: 'x', y: 1 }],
  ])('%s', async (_, layer, config) => {
    const { plugins } = await read([
      'plugins: { s: { use: a, config: { path: x } } }',
      `plugins: { s: ${layer} }`,
    ]);
    expect(plugins[0]?.config).toEqual(config);
  });

  it('that name a module for the first time keep the config of the slot', async () => {
    const { plugins } = await read(['plugins: { s: { config: { port: 1 } } }', 'plugins: { s: { use: b } }']);
    expect(plugins).toMatchObject([{ use: 'b', config: { port: 1 } }]);
  });

  it('merge maps, and replace lists and scalars', async () => {
    const { plugins, server } = await read([
      'server: { logLevel: debug, drainTimeoutMs: 1 }\nplugins: { p: { config: { a: 1, list: [1, 2], deep: { x: 1, y: 1 } } } }',
      'server: { drainTimeoutMs: 2 }\nplugins: { p: { config: { list: [3], deep: { y: 2 } } }, q: { config: {} } }',
      'plugins: { p: { optional: true, config: { deep: { z: 3 } } } }',
    ]);
    expect(server).toMatchObject({ logLevel: 'debug', drainTimeoutMs: 2 });
    expect(plugins).toMatchObject([
      { id: 'p', optional: true, config: { a: 1, list: [3], deep: { x: 1, y: 2, z: 3 } } },
      { id: 'q' },
    ]);
  });

  it('replace a map by a scalar and the other way round', async () => {
    const { plugins } = await read([
      'plugins: { p: { config: { a: { x: 1 }, b: 1 } } }',
      'plugins: { p: { config: { a: 2, b: { y: 1 } } } }',
    ]);
    expect(plugins[0]!.config).toEqual({ a: 2, b: { y: 1 } });
  });

  it('lose nothing to a key with nothing under it', async () => {
    const { plugins, server, issues } = await read([
      'server: { logLevel: warn }\nplugins: { p: { config: { a: 1, b: 1 } }, q: }',
      'server:\nplugins:\n  p:\n    config:\n      # a: 2\n      b:\n  q: { config: { c: 1 } }',
    ]);
    expect(issues).toEqual([]);
    expect(server.logLevel).toBe('warn');
    expect(plugins).toMatchObject([{ config: { a: 1, b: null } }, { config: { c: 1 } }]);
  });

  it('keep the order in which plugins were first named', async () => {
    const { plugins } = await read(['plugins: { z: , a: }', 'plugins: { new: , a: , z: }']);
    expect(plugins.map(({ id }) => id)).toEqual(['z', 'a', 'new']);
  });

  it('are read as one, whatever a map says and whatever is laid over it', async () => {
    const scalars = fc.oneof(fc.integer(), fc.boolean(), fc.constantFrom('a', 'b'));
    const trees = fc.dictionary(
      fc.constantFrom('k', 'l', 'm'),
      fc.oneof(scalars, fc.array(scalars), fc.dictionary(fc.constantFrom('x', 'y'), scalars)),
    );
    type Tree = Record<string, unknown>;
    const isMap = (value: unknown): value is Tree => typeof value === 'object' && !Array.isArray(value);
    const merged = (under: Tree, over: Tree): Tree => {
      const result: Tree = { ...under };
      for (const [key, value] of Object.entries(over)) {
        const below = under[key];
        result[key] = isMap(value) && isMap(below) ? merged(below, value) : value;
      }
      return result;
    };
    const folder = tempFolder();
    await fc.assert(
      fc.asyncProperty(trees, trees, async (under, over) => {
        const files = [under, over].map((config, index) =>
          folder.write(`${index}.yaml`, JSON.stringify({ plugins: { p: { config } } })),
        );
        const { plugins, issues } = await readConfig(files, {});
        expect(issues).toEqual([]);
        expect(plugins[0]!.config).toEqual(merged(under, over));
      }),
    );
  });

  it('remember for each plugin the file that says which module it is', async () => {
    const { plugins } = await read([
      'plugins: { p: { use: ./p.js }, q: { use: ./q.js }, r: }',
      'plugins: { p: { config: { a: 1 } }, q: { use: ./other.js } }',
    ]);
    expect(plugins.map(({ file }) => file.slice(-6))).toEqual(['a.yaml', 'b.yaml', 'a.yaml']);
  });
});

describe('a placeholder', () => {
  it.each<[string, string, unknown]>([
    ['its variable', '${NAME}', 'value'],
    ['its variable within a text', 'a ${NAME} b ${OTHER}', 'a value b 2'],
    ['its default', '${UNSET:-http://127.0.0.1:11434}', 'http://127.0.0.1:11434'],
    ['its variable, not its default', '${NAME:-default}', 'value'],
    ['an empty default', '[${UNSET:-}]', '[]'],
    ['its default for a variable that is set to nothing', '${EMPTY:-default}', 'default'],
    ['nothing for a variable that is set to nothing', '[${EMPTY}]', '[]'],
    ['itself when it is escaped', '$${NAME}', '${NAME}'],
    ['itself, escaped beside a real one', '$${NAME} is ${NAME}', '${NAME} is value'],
    ['a dollar that means nothing', 'costs 5$ or $NAME', 'costs 5$ or $NAME'],
    ['a value that looks like one, as it is', '${TRICKY}', '${NAME} $& $1'],
  ])('is replaced by %s', async (_, text, expected) => {
    const env = { NAME: 'value', OTHER: '2', EMPTY: '', TRICKY: '${NAME} $& $1' };
    expect(await configOf(JSON.stringify({ text }), env)).toEqual({
      config: { text: expected },
      issues: [],
    });
  });

  it('is replaced in lists and deep maps, and not in keys', async () => {
    const { config } = await configOf('{ list: ["${N}", { deep: "${N}" }], "${N}": 1 }', { N: 'v' });
    expect(config).toEqual({ list: ['v', { deep: 'v' }], '${N}': 1 });
  });

  it.each(['${}', '${1X}', '${A-B}', '${A:default}', '${A', '${A:-${B}}', '${ A }'])(
    'that is malformed is a mistake: %s',
    async (text) => {
      const { issues } = await configOf(JSON.stringify({ deep: { text } }), { A: 'a', B: 'b' });
      expect(issues).toHaveLength(1);
      expect(issues[0]).toMatch(
        /^a\.yaml: p\.deep\.text: "\$\{.*" is not \$\{NAME\} or \$\{NAME:-default\}$/,
      );
    },
  );

  it('whose variable is not set is a mistake with the variable and the place', async () => {
    const { issues } = await read(
      'server: { logLevel: "${LEVEL}" }\nplugins: { p: { config: { keys: ["${KEY}"] }, use: "${MODULE}" } }',
    );
    expect(issues).toEqual(
      expect.arrayContaining([
        'LEVEL: a.yaml: server.logLevel: the environment variable LEVEL is not set',
        'KEY: a.yaml: p.keys.0: the environment variable KEY is not set',
        'MODULE: a.yaml: p.use: the environment variable MODULE is not set',
      ]),
    );
  });

  it('is named, and the value of its variable is not, where that is of the wrong type', async () => {
    const text =
      'server: { drainTimeoutMs: "${WAIT}" }\nplugins: { p: { optional: "${OPTIONAL}", enabled: "x${ON}" } }';
    const { issues } = await read(text, { WAIT: 'hunter2', OPTIONAL: 'hunter2', ON: 'hunter2' });
    expect(issues).toEqual([
      'WAIT: a.yaml: server.drainTimeoutMs: expected integer 0-3600000, got string from ${WAIT}',
      'OPTIONAL: a.yaml: plugins.p.optional: expected true or false, got string from ${OPTIONAL}',
      'ON: a.yaml: plugins.p.enabled: expected true or false, got string from ${ON}',
    ]);
  });

  it('gives the numbers and booleans that the schema asks for', async () => {
    const text =
      'server: { drainTimeoutMs: "${WAIT:-5}" }\nplugins: { p: { optional: "${YES}", config: { port: "${PORT}" } } }';
    const { server, plugins } = await read(text, { YES: 'true', PORT: '80' });
    expect(server.drainTimeoutMs).toBe(5);
    const [p] = plugins;
    expect(p!.optional).toBe(true);
    const schema = z.strictObject({ port: z.int() });
    expect(await check(schema, p!.config, p!.origin)).toEqual({ value: { port: 80 } });
  });

  it('of a plugin that is switched off need not be set', async () => {
    const off = '{ use: "${MODULE}", enabled: ENABLED, config: { key: "${KEY}" } }';
    for (const enabled of ['false', '"${ON:-false}"']) {
      const { plugins, issues } = await read(`plugins: { p: ${off.replace('ENABLED', enabled)} }`);
      expect(issues).toEqual([]);
      expect(plugins[0]!.enabled).toBe(false);
    }
    const on = await read(`plugins: { p: ${off.replace('ENABLED', '"${ON:-true}"')} }`);
    expect(on.issues).toEqual(
      expect.arrayContaining([
        'MODULE: a.yaml: p.use: the environment variable MODULE is not set',
        'KEY: a.yaml: p.key: the environment variable KEY is not set',
      ]),
    );
  });
});

describe('issues', () => {
  it('are unknown keys at every level, with the nearest known one', async () => {
    const { issues } = await read(
      'pluggins: {}\nserver: { loglevel: info }\nplugins: { p: { optinal: true, port: 1 } }',
    );
    expect(issues).toEqual([
      'a.yaml: server.loglevel: unknown key, did you mean "logLevel"?',
      'a.yaml: plugins.p.optinal: unknown key, did you mean "optional"?',
      'a.yaml: plugins.p.port: unknown key (known: use, fallback, optional, enabled, config)',
      'a.yaml: pluggins: unknown key, did you mean "plugins"?',
    ]);
  });

  it.each([
    ['server: 5', 'server: expected map, got number 5'],
    ['plugins: [a]', 'plugins: expected map, got list'],
    ['plugins: { p: text }', 'plugins.p: expected map, got string "text"'],
    ['plugins: { p: { config: [1] } }', 'plugins.p.config: expected map, got list'],
    ['plugins: { p: { use: "" } }', 'plugins.p.use: expected string >= 1 characters, got string ""'],
    ['plugins: { p: { enabled: 1 } }', 'plugins.p.enabled: expected true or false, got number 1'],
    ['extensions: [a]', 'extensions: expected string >= 1 characters, got list'],
    [
      'server: { logLevel: loud }',
      'server.logLevel: expected one of "trace", "debug", "info", "warn", "error", "fatal", "silent", got string "loud"',
    ],
    ['server: { pluginTimeoutMs: 0 }', 'server.pluginTimeoutMs: expected integer 1-600000, got number 0'],
  ])('are wrong types: %s', async (text, expected) => {
    expect((await read(text)).issues).toEqual([`a.yaml: ${expected}`]);
  });

  it.each(['__proto__', 'constructor', 'prototype'])('are keys that reach a prototype: %s', async (key) => {
    const { issues } = await read(
      `${key}: { polluted: 1 }\nplugins: { p: { config: { deep: { ${key}: { polluted: 1 } } } } }`,
    );
    expect(issues).toEqual([
      `a.yaml: ${key}: this key is not allowed`,
      `a.yaml: plugins.p.config.deep.${key}: this key is not allowed`,
    ]);
    expect({}).not.toHaveProperty('polluted');
  });

  it('of several files come in one run, each with the file it was made in', async () => {
    const folder = tempFolder();
    const files = [
      folder.write(
        'default.yaml',
        'server: { drainTimeoutMs: soon }\nplugins: { p: { config: { port: 80a, host: 1 } } }',
      ),
      folder.write('broken.yaml', 'server: { logLevel: info'),
      folder.write('mine.yaml', 'plugins: { p: { config: { host: 2, key: "${KEY}" } }, q: { fallbak: x } }'),
      '/nowhere/x.yaml',
    ];
    const { issues, plugins } = await readConfig(files, {});
    expect(issues).toEqual([
      expect.stringMatching(/^broken\.yaml:1:\d+: /),
      '/nowhere/x.yaml: no such file',
      'KEY: mine.yaml: p.key: the environment variable KEY is not set',
      'default.yaml: server.drainTimeoutMs: expected integer 0-3600000, got string "soon"',
      'mine.yaml: plugins.q.fallbak: unknown key, did you mean "fallback"?',
    ]);
    // The plugins' own configs are checked all the same, wherever their keys were written.
    expect(plugins.map(({ id }) => id)).toEqual(['p', 'q']);
    const schema = z.strictObject({ port: z.int(), host: z.string(), key: z.string() });
    expect((await check(schema, plugins[0]!.config, plugins[0]!.origin)).issues).toEqual([
      'default.yaml: p.port: expected integer, got string "80a"',
      'mine.yaml: p.host: expected string, got number 2',
    ]);
  });

  it('are told once each', async () => {
    const { issues } = await read('plugins: { p: { enabled: "${ON}", config: {} } }');
    expect(issues.filter((line) => line.includes('is not set'))).toHaveLength(1);
  });
});
