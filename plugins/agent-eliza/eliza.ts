import { setTimeout as delay } from 'node:timers/promises';
import { type AgentCall, BaseAgent, type ChatRequest, type StreamChunk } from '#kernel';
import type { Config } from './config.js';
import { demoNotice, respond } from './respond.js';

/** A small pattern responder: the server answers without any model installed. German and English. */
export class Eliza extends BaseAgent {
  readonly description = 'Embedded pattern responder; answers when no model is reachable';
  readonly demo = true;
  readonly name: string;
  readonly #config: Config;

  constructor(config: Config) {
    super();
    this.name = config.name;
    this.#config = config;
  }

  demoNotice({ messages }: ChatRequest): string {
    return demoNotice(messages.findLast(({ role }) => role === 'user')?.content ?? '');
  }

  async *generateResponseStream(
    { messages, options }: ChatRequest,
    { signal }: AgentCall,
  ): AsyncGenerator<StreamChunk> {
    const said = messages.filter((message) => message.role === 'user').map((message) => message.content);
    const answer = respond(said.at(-1) ?? '', said.length, options?.seed ?? this.#config.seed);
    const words = answer.match(/\S+\s*/g) ?? [];
    for (const content of words) {
      if (this.#config.wordDelayMs > 0) await delay(this.#config.wordDelayMs, undefined, { signal });
      signal.throwIfAborted();
      yield { type: 'text', content };
    }
    const usage = { inputTokens: said.join(' ').split(/\s+/).length, outputTokens: words.length };
    yield { type: 'done', reason: 'stop', usage };
  }
}
