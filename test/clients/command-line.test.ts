import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { linesFor } from '../support/client-table.js';
import { Scrape } from '../support/prometheus.js';
import { type RunningServer, startServer } from '../support/server.js';
import { type Model, type ModelDialect, shellCommand, startModel } from './model.js';
import { runProgram } from './program.js';

const packages = fileURLToPath(new URL('node_modules/', import.meta.url));
const question = `Run ${shellCommand} and say what it printed`;
const answer = /It said: seen-by-tool/;

/** How an agent of the command line is told of the server. */
interface Tool {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Files in its folder, which is also its home. */
  readonly files: Readonly<Record<string, string>>;
}

/** Codex, as the page says. */
function codex(url: string, model: string, overWebSocket: boolean): Tool {
  const lines = linesFor('Codex', url, model).map((line) =>
    line.replace('supports_websockets = true', `supports_websockets = ${overWebSocket}`),
  );
  // It would ask GitHub and ChatGPT for more, and send figures of its use.
  const offline =
    'analytics = { enabled = false }\nfeatures = { apps = false, plugins = false }\ncheck_for_update_on_startup = false\n';
  const program = join(packages, '@openai/codex/bin/codex.js');
  return {
    command: [
      process.execPath,
      program,
      'exec',
      '--skip-git-repo-check',
      '-s',
      'danger-full-access',
      question,
    ],
    env: { CODEX_HOME: '.codex' },
    files: { '.codex/config.toml': `${lines.join('\n')}\n${offline}` },
  };
}

/** OpenCode, as the page says, with a provider of the AI SDK. */
function opencode(url: string, model: string, provider: string): Tool {
  const [line = ''] = linesFor('OpenCode', url, model);
  const config = JSON.parse(`{${line.replace('@ai-sdk/openai-compatible', provider)}}`);
  const more = { permission: { bash: 'allow' }, autoupdate: false, share: 'disabled' };
  // It would fetch this package for plugins.
  const installed = { packages: { '': { dependencies: { '@opencode-ai/plugin': '*' } } } };
  return {
    command: [
      join(packages, 'opencode-linux-x64-baseline/bin/opencode'),
      ...['run', '-m', `waggle/${model}`, question],
    ],
    env: { OPENCODE_DISABLE_MODELS_FETCH: '1' },
    files: {
      'opencode.json': JSON.stringify({ ...config, ...more }),
      'config/opencode/node_modules/.keep': '',
      'config/opencode/package-lock.json': JSON.stringify(installed),
    },
  };
}

/** Claude Code, as the page says. */
function claude(url: string, model: string): Tool {
  const lines = linesFor('Claude Code', url, model).map((line) => line.split('=') as [string, string]);
  const program = join(packages, '@anthropic-ai/claude-code/cli-wrapper.cjs');
  return {
    command: [process.execPath, program, '-p', '--allowedTools', 'Bash', '--', question],
    env: { ...Object.fromEntries(lines), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1' },
    files: {},
  };
}

/** Each of them by the API that it uses. */
const tools: Readonly<Record<string, (url: string, model: string) => Tool>> = {
  'Claude Code': claude,
  'Codex over HTTP': (url, model) => codex(url, model, false),
  'Codex over a WebSocket': (url, model) => codex(url, model, true),
  'OpenCode with Chat Completions': (url, model) => opencode(url, model, '@ai-sdk/openai-compatible'),
  'OpenCode with Responses': (url, model) => opencode(url, model, '@ai-sdk/openai'),
  'OpenCode with Messages': (url, model) => opencode(url, model, '@ai-sdk/anthropic'),
};

/** A proxy that lets nothing through, and remembers where its clients wanted to go. */
class Border {
  readonly wanted: string[] = [];
  readonly #server: Server = createServer((request, response) => {
    this.wanted.push(request.url ?? '');
    response.writeHead(403).end();
  });

  async listen(): Promise<string> {
    this.#server.on('connect', (request, socket) => {
      this.wanted.push(request.url ?? '');
      socket.on('error', () => {});
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n');
    });
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
  }
}

async function runTool({ command, env, files }: Tool) {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-client-'));
  const border = new Border();
  const proxy = await border.listen();
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const places = {
      HOME: folder,
      XDG_CONFIG_HOME: join(folder, 'config'),
      XDG_CACHE_HOME: join(folder, 'cache'),
    };
    const proxies = { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: '127.0.0.1' };
    const [program = '', ...args] = command;
    const options = { cwd: folder, env: { ...places, ...proxies, ...env }, timeoutMs: 100_000 };
    return { ...(await runProgram(program, args, options)), wanted: border.wanted };
  } finally {
    await border.close();
    await rm(folder, { recursive: true, force: true });
  }
}

describe.each<ModelDialect>(['ollama', 'openai'])(
  'agents of the command line, with a model of %s',
  (dialect) => {
    let model: Model;
    let server: RunningServer;
    beforeAll(async () => {
      model = await startModel(dialect);
      server = await startServer({ config: { plugins: model.plugins } });
    });
    afterAll(async () => {
      expect(await server.stop()).toBe(0);
      await model.server.close();
    });

    const socketsOpened = async () => (await Scrape.of(server.url)).value('waggle_connections_opened_total');

    it.each(Object.entries(tools))('%s runs a command, and tells of it', async (name, tool) => {
      const before = await socketsOpened();
      const { code, stdout, stderr, wanted } = await runTool(tool(server.url, model.name));
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(answer);
      expect((await socketsOpened()) > before).toBe(name.endsWith('WebSocket'));
      // They ask nobody else.
      expect(wanted).toEqual([]);
    });
  },
);
