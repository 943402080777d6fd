import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { startFakeOpenAi } from '../support/fake-openai.js';
import { tempFolder } from '../support/kernel.js';
import { allPages, example, pages, pageText } from '../support/pages.js';
import { startScriptedServer } from '../support/scripted-server.js';
import { runWaggle, startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = pageText('README.md');

describe('the pages', () => {
  it('names the two commands, and they exist', () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
    for (const [, script] of allPages.matchAll(/npm (?:run )?((?<=run )[\w:]+|start|test)/g))
      expect(scripts).toHaveProperty([script as string]);
    expect(readme).toContain('npm ci && npm start');
    expect(scripts.check).toBe('npm test && npm run check:rest');
    expect(scripts['check:rest']).toMatch(/^npm run test:more && /);
    expect(readFileSync(`${root}.ci/run`, 'utf8')).toContain('npm ci && npm test\nnpm run check:rest');
  });

  it('shows calls with curl that are answered', async () => {
    const server = await startServer();
    const calls = [...readme.matchAll(/^curl .*localhost:9797(\S+) -d '(.*)'$/gm)];
    expect(calls).toHaveLength(2);
    for (const [, path, body] of calls) {
      const response = await fetch(`${server.url}${path}`, {
        method: 'POST',
        // What curl -d sends.
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: body as string,
      });
      expect(response.status).toBe(200);
      expect(await response.text()).toMatch(path === '/chat' ? /"response":"\S+ / : /event: streaming_end/);
    }
    await server.stop();
  });

  it.each([
    'client.mjs',
    'typed-client.mjs',
    'openai-client.mjs',
    'anthropic-client.mjs',
    'responses-client.mjs',
    'responses-socket.mjs',
    'ollama-client.mjs',
  ])('shows a client that prints an answer: %s', async (name) => {
    const server = await startServer();
    const code = example(name).replace('localhost:9797', `127.0.0.1:${server.port}`);
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
      cwd: root,
    });
    expect(stdout).toMatch(/\S+ \S+/);
    await server.stop();
  });

  it('shows a client that makes embeddings', async () => {
    const vector = JSON.stringify({ data: [0, 1].map((index) => ({ index, embedding: [1, 2, 3] })) });
    const models = JSON.stringify({ data: [{ id: 'embed' }] });
    const model = await startScriptedServer(
      { headers: { 'content-type': 'application/json' }, body: vector },
      { gets: { headers: { 'content-type': 'application/json' }, body: models } },
    );
    const plugins = {
      'agent-openai': { config: { baseUrl: `${model.url}/v1` } },
      'agent-queen': { config: { candidates: ['openai'] } },
    };
    const server = await startServer({ config: { plugins } });
    const code = example('embeddings-client.mjs').replace('localhost:9797', `127.0.0.1:${server.port}`);
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], {
      cwd: root,
    });
    expect(stdout).toBe('3 numbers\n3 numbers\n');
    await server.stop();
    await model.close();
  });

  it('shows a plugin in 30 lines that answers, and how to configure it', async () => {
    const shout = 'extensions/agent-shout.js';
    expect(example(shout).split('\n').filter(Boolean).length).toBeLessThanOrEqual(30);
    const files = { [shout]: example(shout) };

    const dropped = await startServer({ files });
    const client = await WsClient.connect(`${dropped.ws}/test`);
    expect(textOf(await client.ask({ content: 'good morning', agent: 'shout' }))).toBe('GOOD MORNING !');
    await client.close();
    await dropped.stop();

    const configured = await startServer({ files, config: example('my.yaml') });
    const second = await WsClient.connect(`${configured.ws}/test`);
    expect(textOf(await second.ask({ content: 'good morning' }))).toBe('GOOD MORNING !!!');
    await second.close();
    await configured.stop();
  });

  it('shows how to leave the inspector out', async () => {
    const server = await startServer({ config: example('no-inspector.yaml') });
    const statusOf = async (path: string) => (await fetch(server.url + path)).status;
    expect(await Promise.all(['/ui', '/ui/inspector', '/ui/state'].map(statusOf))).toEqual([200, 404, 404]);
    await server.stop();
  });

  it('shows a plugin in TypeScript, one that asks another agent, one with a config and one with a route', async () => {
    const files = Object.fromEntries(
      [
        'agent-parrot.ts',
        'agent-louder.js',
        'endpoint-greeting.js',
        'endpoint-motto.js',
        'hello-route.js',
        'token-counter.js',
      ].map((file) => {
        const name = `extensions/${file}`;
        // It is installed here, and not where the test puts the file.
        return [name, example(name).replace("from 'zod'", `from '${require.resolve('zod')}'`)];
      }),
    );
    const server = await startServer({ files });
    const client = await WsClient.connect(`${server.ws}/test`);
    expect(textOf(await client.ask({ content: 'good morning', agent: 'parrot' }))).toBe('good morning');
    expect(textOf(await client.ask({ content: 'good morning', agent: 'louder' }))).toMatch(
      /^[^a-z]*[A-Z][^a-z]*$/,
    );
    expect(await (await fetch(`${server.url}/greeting`)).json()).toEqual({ greeting: 'Hello' });
    expect(await (await fetch(`${server.url}/motto`)).json()).toEqual({ motto: 'Carpe diem' });
    expect(await (await fetch(`${server.url}/hello/bee`)).json()).toEqual({ hello: 'bee' });
    const counted = await (await fetch(`${server.url}/tokens?user_id=test`)).json();
    expect(counted).toEqual({ tokens: expect.any(Number) });
    await client.close();
    await server.stop();
  });

  it('shows a test of a plugin that passes', async () => {
    const { path } = tempFolder();
    mkdirSync(join(path, 'node_modules'));
    symlinkSync(root, join(path, 'node_modules/waggle-server'));
    for (const name of ['agent-shout.js', 'agent-shout.test.js'])
      writeFileSync(join(path, name), example(`extensions/${name}`));
    writeFileSync(join(path, 'package.json'), '{ "type": "module" }');
    const { stdout } = await promisify(execFile)(process.execPath, ['--test'], {
      cwd: path,
      env: { PATH: process.env.PATH },
    });
    expect(stdout).toMatch(/^# pass 1$/m);
  });

  it('shows servers that become agents, one with a protocol of its own', async () => {
    const { fake, baseUrl } = await startFakeOpenAi();
    const config = example('models.yaml')
      .replace('http://gpu-box:8000/v1', baseUrl)
      .replace('qwen3', 'llama3.2');
    const plainText = createServer((request, response) => {
      if (request.url === '/model') response.end('plain');
      else request.pipe(response);
    });
    await once(plainText.listen(0, '127.0.0.1'), 'listening');
    const { port } = plainText.address() as AddressInfo;
    const own = 'extensions/agent-text.js';
    const server = await startServer({
      config: `${config}  agent-text:\n    config: { url: 'http://127.0.0.1:${port}' }\n`,
      files: { [own]: example(own) },
    });
    const client = await WsClient.connect(`${server.ws}/test`);
    expect(textOf(await client.ask({ content: 'Hallo' }))).toBe(fake.expectedText('llama3.2'));
    expect(textOf(await client.ask({ content: 'an echo', agent: 'text' }))).toBe('an echo');
    await client.close();
    const { data } = (await (await fetch(`${server.url}/v1/models`)).json()) as { data: { id: string }[] };
    const ids = ['vllm', 'vllm/llama3.2', 'text/plain'];
    expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(ids));
    // Its server is not there.
    expect(data.map(({ id }) => id)).not.toContain('openai');
    expect(await (await fetch(`${server.url}/agents`)).text()).toContain('"name":"openai"');
    await server.stop();
    await fake.close();
    plainText.close();
  });

  it('names every command, and no other', async () => {
    const help = await runWaggle('--help', { alone: true });
    await help.exited;
    const commands = [...help.stdout.matchAll(/^ {2}(\w+) .*\[options\]|^ {2}(new) /gm)].map(
      ([, first, second]) => first ?? second,
    );
    const [, section] = /## Command line\n(.*?)\n\| exit code/s.exec(pageText('config/README.md')) ?? [];
    const named = [...(section ?? '').matchAll(/`waggle (\w+)/g)].map(([, command]) => command);
    expect(named.sort()).toEqual(commands.filter((command) => command !== 'help').sort());
  });

  it('shows a task on a thread, a message type, and a plugin that runs a task', async () => {
    const files = Object.fromEntries(
      ['text-count/index.js', 'text-count/count.task.js', 'counts-words.js'].map((file) => [
        `extensions/${file}`,
        example(`extensions/${file}`),
      ]),
    );
    const server = await startServer({ files });
    const [, body, path] = /^curl --json '(.*)' 'http:\/\/localhost:9797(.*)'$/m.exec(allPages) ?? [];
    const answer = await fetch(`${server.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: body as string,
    });
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ task: 'text:count', output: 4, progress: { percent: 100 } }),
    ]);
    const client = await WsClient.connect(`${server.ws}/test`);
    client.send({ type: 'text:repeat', text: 'ha' });
    expect(await client.until((frame) => frame.type === 'text:repeat')).toMatchObject({ text: 'haha' });
    expect(await server.untilLog((line) => line.msg === 'counted')).toMatchObject({ words: 3 });
    await client.close();
    await server.stop();
  });

  it('shows a plugin that watches everything', async () => {
    const name = 'extensions/watcher.js';
    expect(example(name).trim().split('\n')).toHaveLength(6);
    const server = await startServer({ files: { [name]: example(name) } });
    const client = await WsClient.connect(`${server.ws}/test`);
    await client.ask({ content: 'Hallo' });
    await client.close();
    for (const event of ['kernel:state', 'connection:opened', 'chat:started', 'chat:finished'])
      await server.untilLog(({ plugin, names }) => plugin === 'watcher' && [names].flat().includes(event));
    await server.stop();
  });

  it('shows a config that is good', async () => {
    const [, config] = /## Config files.*?```yaml\n(.*?)```/s.exec(pageText('config/README.md')) ?? [];
    const run = await runWaggle('check', {
      config: config as string,
      files: {
        'agents/my-agent.js': `export default { name: 'my-agent', apiVersion: 1, setup() {} };`,
        'extensions/agent-shout.js': example('extensions/agent-shout.js'),
      },
    });
    expect(run.stderr + (await run.exited)).toBe('0');
    expect(run.stdout).toMatch(/my-agent {2}optional/);
  });

  it('shows one line that keeps conversations in a file, and how to list, search, rename and export them', async () => {
    const config = example('remember.yaml');
    const path = join(tempFolder().path, 'c.sqlite');
    const file = config.replace('store-sqlite }', `store-sqlite, config: { path: ${path} } }`);
    const first = await startServer({ config: file });
    const client = await WsClient.connect(`${first.ws}/test`);
    await client.ask({ content: 'Hallo', conversationId: 'c' });
    await client.close();
    await first.stop('SIGKILL');
    const second = await startServer({ config: file });
    const [, change, title] =
      /^curl -X PATCH 'http:\/\/localhost:9797(\/conversations\S+)' -d '(.*)'$/m.exec(allPages) ?? [];
    // As curl sends it.
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const renamed = await fetch(`${second.url}${change}`, {
      method: 'PATCH',
      headers,
      body: title as string,
    });
    expect(renamed.status).toBe(200);
    const paths = [...allPages.matchAll(/^curl 'http:\/\/localhost:9797(\/conversations\S+)'$/gm)];
    const answers = await Promise.all(paths.map(([, each]) => fetch(`${second.url}${each}`)));
    const [all, older, found, messages, exported] = await Promise.all(answers.map((each) => each.text()));
    expect(JSON.parse(all as string).conversations).toMatchObject([
      { conversation_id: 'c', title: 'Travel', messages: 2 },
    ]);
    expect(JSON.parse(older as string)).toEqual({ conversations: [] });
    expect(JSON.parse(found as string).hits).toMatchObject([{ title: 'Travel', excerpt: 'Hallo' }]);
    expect(JSON.parse(messages as string).messages).toHaveLength(2);
    expect(exported).toMatch(
      /^{"conversation_id":"c","title":"Travel","role":"user","content":"Hallo".*}\n{.*}\n$/,
    );
    await second.stop();
    // As it stands, in the working directory.
    expect(await (await runWaggle('plugins', { config })).exited).toBe(0);
  });

  it('shows what Prometheus has to be told', async () => {
    const server = await startServer();
    const [{ static_configs: configs }] = parse(example('prometheus.yml')).scrape_configs;
    const [target] = configs[0].targets;
    // Without a path it asks for this one.
    const answer = await fetch(
      `http://${target.replace('localhost:9797', `127.0.0.1:${server.port}`)}/metrics`,
    );
    const text = await answer.text();
    const page = pageText('plugins/endpoint-metrics/README.md');
    expect(text).toMatch(/^waggle_connections 0$/m);
    const [, section] = /(\n## Metrics\n.*)/s.exec(page) ?? [];
    for (const [name] of section?.matchAll(/\bwaggle_[a-z_]+/g) ?? [])
      expect(text).toContain(`# TYPE ${name} `);
    const [, file] = /`node_modules\/waggle-server\/(\S+\.json)`/.exec(page) ?? [];
    expect(existsSync(`${root}${file}`)).toBe(true);
    await server.stop();
  });

  it('shows a plugin that sends traces', async () => {
    const bodies: string[] = [];
    const collector = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => {
        body += part;
      });
      request.on('end', () => {
        bodies.push(`${request.url} ${body}`);
        response.end('{}');
      });
    });
    await once(collector.listen(0, '127.0.0.1'), 'listening');
    const { port } = collector.address() as AddressInfo;
    const name = 'extensions/tracing.js';
    // It is installed here, and not where the test puts the file.
    const code = example(name).replace(/from '(@.*)'/g, (_, id) => `from '${require.resolve(id)}'`);
    const server = await startServer({
      files: { [name]: code },
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
    });
    const client = await WsClient.connect(`${server.ws}/test`);
    await client.ask({ content: 'Hallo' });
    await client.close();
    expect(await server.stop()).toBe(0);
    expect(bodies.join()).toMatch(/^\/v1\/traces .*"waggle".*"waggle\.request"/s);
    expect(bodies.join()).toContain('"invoke_agent eliza"');
    collector.close();
    const [, install] = /`npm install ([^`]+)`/.exec(pageText('plugins/trace-otel/README.md')) ?? [];
    const { devDependencies } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
    for (const each of (install as string).split(' ')) {
      const [, id, version] = /^(@.*)@(.*)$/.exec(each) as RegExpExecArray;
      expect(devDependencies[id as string]).toMatch(new RegExp(`^[~^]${version}\\.`));
    }
  });

  it('shows a unit of systemd that agrees with the production profile', () => {
    const [, unit = ''] = /```ini\n(.*?)```/s.exec(pageText('config/README.md')) ?? [];
    const setting = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] as string;
    const [, folder, file, rest] =
      /^\/usr\/bin\/node (\S+?)\/(dist\S+) (.*)$/.exec(setting('ExecStart')) ?? [];
    expect([folder, rest]).toEqual(['/opt/waggle', 'start --profile production']);
    expect(existsSync(`${root}${file}`)).toBe(true);
    expect(setting('WorkingDirectory')).toBe(`/var/lib/${setting('StateDirectory')}`);
    const { server, plugins } = parse(readFileSync(`${root}config/production.yaml`, 'utf8'));
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThan(server.drainTimeoutMs / 1000 + 10);
    const [, connections] = /:-(\d+)/.exec(plugins['transport-uws'].config.maxConnections) ?? [];
    expect(Number(setting('LimitNOFILE'))).toBeGreaterThan(Number(connections));
    expect(setting('RestartPreventExitStatus')).toBe('78');
  });

  it('names the schema of config files, and it is part of the package', () => {
    const [, path] =
      /yaml-language-server: \$schema=\.\/node_modules\/waggle-server\/(\S+)/.exec(allPages) ?? [];
    expect(existsSync(`${root}${path}`)).toBe(true);
    const { files } = JSON.parse(readFileSync(`${root}package.json`, 'utf8'));
    expect(files).toContain(path?.split('/')[0]);
  });

  it('lists every built-in plugin, each with a page of its own', async () => {
    const { builtInNames } = await import('../../kernel/host/loader/resolve-plugin.js');
    for (const name of builtInNames()) {
      expect(pageText('plugins/README.md')).toContain(`[\`${name}\`](${name}/README.md)`);
      expect(pages).toContain(`plugins/${name}/README.md`);
    }
  });
});
