import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ScriptedServer } from '../plugins/endpoint-ws/scripted-server.js';
import { type RunningServer, startServer } from '../support/server.js';

const cli = fileURLToPath(new URL('../../dist/kernel/cli.js', import.meta.url));
const boundMs = 30_000;

/** A `waggle chat` that runs as a process of its own, with a pipe for a keyboard. */
class ChatProcess {
  stdout = '';
  stderr = '';
  readonly exited: Promise<number | null>;
  readonly #process;
  #look = () => {};

  constructor(...args: string[]) {
    this.#process = spawn(process.execPath, [cli, 'chat', ...args], { timeout: boundMs });
    this.#process.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#look();
    });
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#look();
    });
    this.exited = once(this.#process, 'close').then(([code]) => code);
  }

  type(text: string): void {
    this.#process.stdin.write(text);
  }

  /** Ends its input, as Ctrl-D does. */
  end(text = ''): Promise<number | null> {
    this.#process.stdin.end(text);
    return this.exited;
  }

  interrupt(): void {
    this.#process.kill('SIGINT');
  }

  /** Resolves when it has printed this, now or later. */
  async printed(text: string): Promise<void> {
    const gone = this.exited.then(() => 'gone');
    const found = new Promise<void>((resolve) => {
      this.#look = () => {
        if (`${this.stdout}${this.stderr}`.includes(text)) resolve();
      };
      this.#look();
    });
    if ((await Promise.race([found, gone])) === 'gone' && !this.stdout.includes(text))
      throw new Error(`"${text}" was not printed: ${JSON.stringify([this.stdout, this.stderr])}`);
  }
}

describe('waggle chat, in a pipe,', () => {
  let server: RunningServer;
  let url: string;
  beforeAll(async () => {
    server = await startServer();
    url = server.url.replace('http', 'ws');
  });
  afterAll(() => server.stop());

  it('answers each line, and ends with its input', async () => {
    const chat = new ChatProcess(url);
    expect(await chat.end('Hallo\n\nWie geht es dir?\n')).toBe(0);
    expect(chat.stdout).toMatch(/^(\S+ .+OLLAMA_HOST.+\n\n\S+ .+\n){2}$/);
    expect(chat.stderr).toBe('');
  });

  it.each([
    ['without a scheme', (port: number) => `127.0.0.1:${port}`],
    ['by name', (port: number) => `localhost:${port}`],
    ['by its port', (port: number) => `:${port}`],
    ['by nothing but its port', (port: number) => String(port)],
    ['over http', (port: number) => `http://127.0.0.1:${port}`],
    ['over HTTP', (port: number) => `HTTP://127.0.0.1:${port}/`],
    ['of the page', (port: number) => `http://127.0.0.1:${port}/ui`],
    ['whole, without a scheme', (port: number) => `127.0.0.1:${port}/ws/me`],
  ])('finds a server by its address %s', async (_, addressOf) => {
    const chat = new ChatProcess(addressOf(server.port));
    expect(await chat.end('Hallo\n')).toBe(0);
    expect(chat.stdout).toMatch(/^\S+ .+\n\n\S+ .+\n$/);
    expect(chat.stderr).toBe('');
  });

  it('stays in one conversation', async () => {
    const chat = new ChatProcess(url, '--user', 'kim', '--agent', 'eliza');
    expect(await chat.end('Hello\nHello\n')).toBe(0);
    const finished = (line: Readonly<Record<string, unknown>>) =>
      line.msg === 'reply finished' && line.userId === 'kim' && hasInput(line.usage, 2);
    expect(await server.untilLog(finished)).toMatchObject({ agent: 'eliza' });
  });

  it('says why an answer failed, goes on, and ends with 1', async () => {
    const chat = new ChatProcess(`${url}/ws/me`, '--agent', 'nobody');
    expect(await chat.end('Hello\nHello\n')).toBe(1);
    expect(chat.stdout).toBe('');
    expect(chat.stderr).toMatch(/^(waggle: AGENT_UNKNOWN: no agent is called "nobody".*\n){2}$/);
  });
});

describe('waggle chat without a server', () => {
  it.each([['ws://127.0.0.1:9'], ['nonsense'], ['127.0.0.1:9'], ['ftp://127.0.0.1:9'], ['mailto:me@here']])(
    'ends with 1 and one line: %s',
    async (url) => {
      const chat = new ChatProcess(url);
      expect(await chat.exited).toBe(1);
      expect(chat.stdout).toBe('');
      expect(chat.stderr).toMatch(new RegExp(`^waggle: ${url}: .+\n$`));
    },
  );
});

describe('waggle chat, interrupted,', () => {
  let server: ScriptedServer;
  beforeAll(async () => {
    server = await ScriptedServer.listen();
  });
  afterAll(() => server.close());
  afterEach(() => {
    server.frames.length = 0;
  });

  const begin = (requestId: string) => [
    { type: 'streaming_start', streamId: requestId, agent: 'a', conversationId: 'c', requestId },
    { type: 'streaming_token', streamId: requestId, content: 'Once\x1b[2J upon' },
  ];

  it('stops the answer, says how long that took, and leaves when interrupted again', async () => {
    server.onFrame = ({ type, requestId, streamId }, peer) => {
      if (type === 'stream_request') peer.send(...begin(requestId));
      else peer.send({ type: 'cancelled', streamId, reason: 'client', upstreamClosedMs: 12 });
    };
    const chat = new ChatProcess(server.url);
    chat.type('Tell me a story\n');
    await chat.printed('upon');
    chat.interrupt();
    await chat.printed("cancelled; the model's connection closed after 12 ms\n");
    chat.type('And another one\n');
    await server.until('stream_request', 2);
    expect(server.frames.at(-1)).toMatchObject({ content: 'And another one', conversationId: 'c' });
    await chat.printed('upon\nOnce');
    chat.interrupt();
    await server.until('cancel', 2);
    await chat.printed('upon\nOnce[2J upon\n');
    chat.interrupt();
    expect(await chat.exited).toBe(0);
    // What a model says must not steer a terminal.
    expect(chat.stdout).toBe('Once[2J upon\nOnce[2J upon\n');
  });

  it('leaves at once while a cancel is not confirmed', async () => {
    server.onFrame = ({ type, requestId }, peer) =>
      type === 'stream_request' && peer.send(...begin(requestId));
    const chat = new ChatProcess(server.url);
    chat.type('Tell me a story\n');
    await chat.printed('upon');
    chat.interrupt();
    await server.until('cancel');
    chat.interrupt();
    expect(await chat.exited).toBe(130);
    expect(chat.stderr).toBe('');
  });

  it('says so when the connection is lost, and ends with 1 when it is lost for good', async () => {
    server.onFrame = ({ type, requestId, streamId }, peer) => {
      if (type === 'stream_request') peer.send(...begin(requestId));
      if (type === 'stream_request') peer.cut();
      else peer.send({ type: 'streaming_token', streamId, content: ' a time' });
      if (type === 'resume') peer.close(4409, 'taken over');
    };
    const chat = new ChatProcess(server.url);
    chat.type('Tell me a story\n');
    expect(await chat.exited).toBe(1);
    expect(chat.stderr).toMatch(/^connection lost, trying again\nwaggle: .*taken over\n$/);
  });
});

function hasInput(usage: unknown, inputTokens: number): boolean {
  return (usage as { readonly inputTokens?: number } | undefined)?.inputTokens === inputTokens;
}
