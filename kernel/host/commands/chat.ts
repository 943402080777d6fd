import { randomBytes } from 'node:crypto';
import { createInterface, type Interface } from 'node:readline';
import {
  type Chunk,
  type ClientState,
  connect,
  type Reply,
  type WaggleClient,
  WaggleClientError,
} from 'waggle-server/client';
import WebSocket from 'ws';
import { messageOf } from '../../errors.js';
import { serverAddress } from '../server-address.js';
import { exitCodes } from '../stop-signals.js';

interface ChatSettings {
  readonly agent?: string;
  readonly model?: string;
  readonly user?: string;
}

/** `waggle chat`: talks to a running server, at a terminal with a prompt, otherwise line by line. */
export async function chat(url: string, settings: ChatSettings): Promise<void> {
  let conversation: Conversation | undefined;
  try {
    const client = await connect(addressOf(url, settings), {
      WebSocket,
      // Not an option: other users of the machine could read it.
      token: process.env.WAGGLE_TOKEN || undefined,
      onState: (state, error) => conversation?.connectionIs(state, error),
    });
    conversation = new Conversation(client, settings);
    process.exitCode = await conversation.run();
  } catch (error) {
    process.stderr.write(`waggle: ${url}: ${messageOf(error)}\n`);
    process.exitCode = exitCodes.failed;
  }
}

/** URL of the WebSocket with its client id, from that or from the base address of a server. */
function addressOf(
  url: string,
  { user = `terminal-${randomBytes(4).toString('hex')}` }: ChatSettings,
): string {
  const address = serverAddress(url, 'ws');
  if (!/\/ws\/[^/]+$/.test(address.pathname))
    address.pathname = `${address.pathname.replace(/\/+$/, '')}/ws/${encodeURIComponent(user)}`;
  return address.href;
}

/** Questions from standard input, answers to standard output, everything else to standard error. */
class Conversation {
  readonly #client: WaggleClient;
  readonly #settings: ChatSettings;
  readonly #atTerminal = Boolean(process.stdin.isTTY && process.stdout.isTTY);
  readonly #lines: Interface;
  #id: string | undefined;
  #reply: Reply | undefined;
  #cancelling = false;
  #leaving = false;
  #exitCode: number = exitCodes.clean;

  constructor(client: WaggleClient, settings: ChatSettings) {
    this.#client = client;
    this.#settings = settings;
    const { stdin: input, stdout: output } = process;
    this.#lines = createInterface(this.#atTerminal ? { input, output, prompt: '> ' } : { input });
  }

  async run(): Promise<number> {
    const interrupt = () => this.#interrupt();
    // A terminal in raw mode sends a key, everything else a signal.
    this.#lines.on('SIGINT', interrupt);
    process.on('SIGINT', interrupt);
    // The reader of the answers is gone.
    process.stdout.on('error', () => this.#leave());
    if (this.#atTerminal) this.#notice('Ctrl-C stops an answer, Ctrl-D leaves.');
    this.#prompt();
    for await (const line of this.#lines) {
      if (line.trim() !== '') await this.#ask(line);
      if (this.#leaving) break;
      this.#prompt();
    }
    this.#leave();
    process.off('SIGINT', interrupt);
    await this.#client.close();
    return this.#exitCode;
  }

  connectionIs(state: ClientState, error: WaggleClientError | undefined): void {
    if (state === 'reconnecting') this.#notice('connection lost, trying again');
    if (state !== 'closed' || this.#leaving) return;
    this.#fail(error);
    this.#leave();
  }

  async #ask(question: string): Promise<void> {
    const { agent, model } = this.#settings;
    const reply = this.#client.chat(question, {
      ...{ agent, model, conversationId: this.#id },
      onApproval: () => {
        throw new Error('nobody can be asked in a terminal');
      },
    });
    this.#reply = reply;
    this.#cancelling = false;
    try {
      for await (const chunk of reply) this.#print(chunk);
      this.#id = reply.conversationId;
      process.stdout.write('\n');
      const { cancelled } = await reply.result;
      if (cancelled)
        this.#notice(`cancelled; the model's connection closed after ${cancelled.upstreamClosedMs} ms`);
    } catch (error) {
      if (reply.text) process.stdout.write('\n');
      if (!this.#leaving) this.#fail(error);
    }
    this.#reply = undefined;
  }

  #interrupt(): void {
    if (this.#reply && !this.#cancelling) {
      this.#cancelling = true;
      // The outcome shows in `#ask`.
      this.#reply.cancel().catch(() => {});
    } else {
      if (this.#reply) this.#exitCode = exitCodes.forced;
      this.#leave();
    }
  }

  #leave(): void {
    this.#leaving = true;
    this.#lines.close();
    void this.#client.close();
  }

  #prompt(): void {
    if (this.#atTerminal) this.#lines.prompt();
  }

  #print(chunk: Chunk): void {
    if (chunk.type === 'text') process.stdout.write(printable(chunk.content));
    else if (!this.#atTerminal) return;
    else if (chunk.type === 'thinking') process.stdout.write(dim(printable(chunk.content)));
    else process.stdout.write(dim(printable(`[${stepOf(chunk)}]\n`)));
  }

  #notice(text: string): void {
    process.stderr.write(`${this.#atTerminal ? dim(text) : text}\n`);
  }

  #fail(error: unknown): void {
    this.#exitCode = exitCodes.failed;
    const code = error instanceof WaggleClientError ? `${error.code}: ` : '';
    process.stderr.write(`waggle: ${code}${messageOf(error)}\n`);
  }
}

/** A step of an answer in one line. */
function stepOf(step: Exclude<Chunk, { readonly content: string }>): string {
  if (step.type === 'agent') return `${step.agent}: ${step.via} ${step.state}`;
  if (step.type === 'tool_call') return `${step.name} ${JSON.stringify(step.arguments)}`;
  if (step.type === 'tool_result')
    return `${step.name}: ${step.error?.message ?? JSON.stringify(step.output)}`;
  return step.type === 'approval_required'
    ? `${step.name} needs an approval`
    : step.allow
      ? 'allowed'
      : 'denied';
}

/** Text without control characters: a model must not be able to steer the terminal. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '');
}

function dim(text: string): string {
  return `\x1b[2m${text}\x1b[22m`;
}
