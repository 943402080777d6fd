// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders as users write them

import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { example } from '../support/pages.js';
import { type CommandOptions, runWaggle } from '../support/server.js';

async function print(options: CommandOptions) {
  const run = await runWaggle('check', { ...options, args: ['--print'] });
  const code = await run.exited;
  const lineOf = (key: string) =>
    run.stdout
      .split('\n')
      .find((line) => line.trim().startsWith(`${key}: `))
      ?.trim();
  return { code, text: run.stdout, stderr: run.stderr, lineOf };
}

describe('waggle check --print', () => {
  it('shows each value of the merged config with the place where it was set', async () => {
    const { code, text, lineOf } = await print({
      config: [
        'plugins:',
        '  agent-queen:',
        '    config:',
        '      contextMessages: 50',
        '      routes:',
        '        - { match: sql, agent: coder }',
        '  endpoint-docs: { enabled: false }',
      ].join('\n'),
      files: { '.env': 'WAGGLE__agent_queen__maxSteps=3\nWAGGLE__agent_queen__toolsAtOnce=9\n' },
      env: { WAGGLE__agent_queen__toolsAtOnce: '2', LOG_LEVEL: 'warn' },
    });
    expect(code).toBe(0);
    expect(lineOf('contextMessages')).toBe('contextMessages: 50 # test.yaml:4');
    expect(lineOf('- match')).toBe('- match: sql # test.yaml:6');
    expect(lineOf('maxSteps')).toBe('maxSteps: 3 # WAGGLE__agent_queen__maxSteps in .env');
    expect(lineOf('toolsAtOnce')).toBe('toolsAtOnce: 2 # WAGGLE__agent_queen__toolsAtOnce');
    expect(lineOf('maxToolCalls')).toBe('maxToolCalls: 64 # default');
    expect(lineOf('candidates')).toMatch(/^candidates: \[ ollama, eliza \] # default\.yaml:\d+$/);
    expect(lineOf('logLevel')).toBe('logLevel: warn # LOG_LEVEL');
    const { plugins } = parse(text);
    expect(plugins['agent-queen'].config).toMatchObject({ contextMessages: 50, maxSteps: 3, tools: [] });
    expect(plugins['endpoint-docs']).toEqual({ enabled: false });
  });

  it('shows no secret, wherever it stands', async () => {
    const secret = 'hunter2';
    const { code, text } = await print({
      config: {
        plugins: {
          'agent-openai': {
            config: { baseUrl: 'http://gpu:1/v1', apiKey: '${API_KEY}', headers: { 'x-auth': secret } },
          },
          'access-keys': {
            config: { keys: [{ user: 'alice', sha256: secret.padEnd(64, '0').replace(/[^0-9a-f]/g, 'a') }] },
          },
          'tools-mcp': { config: { servers: { files: { command: 'true', env: { PLAIN: secret } } } } },
          'ui-web': { config: { sessionSecret: secret.padEnd(40, '.') } },
        },
      },
      files: { '.env': `API_KEY=${secret}-a` },
      env: { WAGGLE__agent_ollama__headers: JSON.stringify({ 'x-plain': `${secret}-b` }) },
    });
    expect(code).toBe(0);
    expect(text).not.toContain(secret);
    expect(text).not.toContain('aaaae'.slice(0, 4));
    expect(text).toContain('apiKey: (hidden) # API_KEY in .env');
    expect(text).toContain('baseUrl: http://gpu:1/v1');
  });

  it('reads the variables of the page on configs', async () => {
    const { code, lineOf } = await print({ files: { '.env': example('.env') } });
    expect(code).toBe(0);
    expect(lineOf('agent-ollama')).toBe('agent-ollama: debug # WAGGLE__server__logLevels in .env');
    expect(lineOf('candidates')).toMatch(/# WAGGLE__agent_queen__candidates in \.env$/);
    expect(lineOf('requestsPerMinute')).toMatch(/^requestsPerMinute: 60 /);
  });

  it('gives variables to a plugin of the extensions folder, also without a schema', async () => {
    const plugin = `export default { name: 'agent-shout', apiVersion: 1, setup() {} };`;
    const { code, text } = await print({
      files: { 'extensions/agent-shout.mjs': plugin },
      env: {
        WAGGLE__agent_shout__loud: 'true',
        WAGGLE__agent_shout__words: '["a"]',
        WAGGLE__agent_shout__times: '3',
      },
    });
    expect(code).toBe(0);
    expect(text).toMatch(/loud: true .*\n\s+times: 3 .*\n\s+words: \[ \(hidden\) \] #/);
  });

  it('takes the profile from .env, and the file beside the config before that of the working directory', async () => {
    const files = {
      '.env': 'WAGGLE_PROFILE=production\nMAX_CONNECTIONS=7',
      'conf/.env': 'WAGGLE_PROFILE=production\nMAX_CONNECTIONS=8\nLOG_LEVEL=warn',
      'conf/my.yaml': '',
    };
    const { text, lineOf } = await print({ files });
    expect(lineOf('maxConnections')).toBe('maxConnections: 7 # MAX_CONNECTIONS in .env');
    expect(text).toContain('use: store-sqlite');
    const run = await runWaggle('check', {
      files,
      args: ['--print', '--config', 'conf/my.yaml'],
      env: { MAX_CONNECTIONS: '9' },
    });
    expect(await run.exited).toBe(0);
    expect(run.stdout).toContain('maxConnections: 9 # MAX_CONNECTIONS\n');
    expect(run.stdout).toContain('logLevel: warn # LOG_LEVEL in .env\n');
  });
});

describe('waggle check', () => {
  it('names the variables that are wrong, and the unknown plugins of logLevels', async () => {
    const run = await runWaggle('check', {
      config: { server: { logLevels: { 'agent-olama': 'debug' } } },
      files: { '.env': 'WAGGLE__agent_quen__tools=[]' },
      env: { WAGGLE__agent_queen__tols: '[]' },
    });
    expect(await run.exited).toBe(78);
    expect(run.stderr.trim().split('\n').sort()).toEqual([
      'WAGGLE__agent_queen__tols: agent-queen.tols: unknown key, did you mean "tools"?',
      'WAGGLE__agent_quen__tools: the config has no plugin "agent-quen", did you mean "WAGGLE__agent_queen"?',
      'test.yaml: server.logLevels.agent-olama: the config has no plugin of this name, did you mean "agent-ollama"?',
    ]);
  });
});
