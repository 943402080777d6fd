import { inject, injectable } from 'tsyringe';
import {
  type Agent,
  type AgentCall,
  type AgentHealth,
  type AgentStatus,
  type AgentTakes,
  type Chat,
  type ChatCommand,
  type ChatMessage,
  type ChatOptions,
  type ChatRequest,
  type ChatSink,
  type Contributions,
  type ConversationKey,
  ConversationStore,
  checkContent,
  createToken,
  type EventBus,
  messageOf,
  type StreamChunk,
  WaggleError,
} from '#kernel';
import { Answers } from './answers.js';
import { Attempt } from './attempt.js';
import { type Batch, checkedChunks, isWhole, textIn } from './batch.js';
import { isFault } from './blame.js';
import type { Config } from './config.js';
import { HealthBoard } from './health-board.js';
import { inContext, remembered, retract, turnOf } from './turn.js';

/** Her config, for injection. */
export const QueenConfig = createToken<Config>('queen.config');
/** The agents that plugins have added, for injection. */
export const Agents = createToken<Contributions<Agent>>('queen.agents');
/** Where she announces whom she asks, for injection. */
export const QueenBus = createToken<EventBus>('queen.bus');

interface Sink {
  /** A promise holds the agent back. */
  write(batch: Batch): void | Promise<void>;
}

/** Owns the conversations, chooses who answers, and asks the next candidate when one fails before its first token. */
@injectable()
export class Queen implements Agent, Chat {
  readonly name = 'queen';
  readonly description = 'Remembers the conversation and lets the first healthy agent answer';
  readonly #config: Config;
  readonly #agents: Contributions<Agent>;
  readonly #store: ConversationStore;
  readonly #bus: EventBus;
  readonly #health: HealthBoard;
  /** What she pulls from agents now. */
  readonly answers: Answers;

  constructor(
    @inject(QueenConfig) config: Config,
    @inject(Agents) agents: Contributions<Agent>,
    @inject(ConversationStore) store: ConversationStore,
    @inject(QueenBus) bus: EventBus,
  ) {
    this.#config = config;
    this.#agents = agents;
    this.#store = store;
    this.#bus = bus;
    this.#health = new HealthBoard(config.healthTtlMs, config.healthTimeoutMs);
    this.answers = new Answers(config.unregisterGraceMs, (agent) => this.#health.doubt(agent));
  }

  /** @throws AGENT_UNKNOWN, and what the agent throws when there is nobody left to ask */
  async reply(
    command: ChatCommand & { readonly id: string; readonly conversationId: string },
    call: AgentCall,
    sink: ChatSink,
  ): Promise<void> {
    const { id, userId, conversationId, agent, model, options, stateless } = command;
    const key = { userId, conversationId };
    const turn = turnOf(command);
    const { contextMessages } = this.#config;
    const history = stateless ? [] : await this.#store.read(key, contextMessages);
    const messages = inContext(history, turn, contextMessages);
    const request = { id, messages, ...(model && { model }), ...(options && { options }) };
    if (stateless) return this.#ask(request, agent, call, sink);
    let kept: readonly ChatMessage[] | undefined;
    try {
      // Only whole answers are remembered, and before the client can ask the next question.
      await this.#ask(request, agent, call, sink, async (last) => {
        kept = await this.#remember(key, remembered(turn, sink.text + textIn(last)), call);
      });
    } finally {
      // Cancelled or cut off meanwhile: the client did not get it.
      if (kept && call.signal.aborted) await this.#forget(key, kept, call);
    }
  }

  /** Answers without a memory of her own: the request carries all that was said. */
  async *generateResponseStream(
    request: ChatRequest,
    call: AgentCall,
  ): AsyncGenerator<readonly StreamChunk[]> {
    const { readable, writable } = new TransformStream<Batch, Batch>();
    const writer = writable.getWriter();
    const write = (batch: Batch) => {
      call.signal.throwIfAborted();
      return writer.write(batch);
    };
    this.#ask(request, undefined, call, { write })
      .then(
        () => writer.close(),
        (error: unknown) => writer.abort(error),
      )
      // Whoever pulls has left.
      .catch(() => {});
    for await (const batch of readable)
      yield batch.filter((chunk): chunk is StreamChunk => chunk.type !== 'agent');
  }

  async health(): Promise<AgentHealth> {
    for (const agent of this.#candidates()) if (await this.#health.isHealthy(agent)) return { healthy: true };
    return { healthy: false, detail: 'none of her candidates is healthy' };
  }

  /** Those of any candidate: who answers is not known yet, and refuses for itself. */
  get takes(): AgentTakes {
    const all = this.#candidates().map(({ takes }) => takes);
    return { imageUrls: all.some((each) => each?.imageUrls), parts: all.some((each) => each?.parts) };
  }

  /** What the first of her candidates does not pass on. */
  ignores(options: ChatOptions): readonly string[] {
    const [first] = this.#candidates();
    return first?.ignores?.(options) ?? Object.keys(options.more ?? {});
  }

  statuses(): Promise<readonly AgentStatus[]> {
    return Promise.all(
      [...this.#agents].map(async (agent) => ({
        name: agent.name,
        ...(agent.description && { description: agent.description }),
        ...(await this.#health.check(agent)),
      })),
    );
  }

  // One loop and no generator: each layer of those costs every token a promise or two.
  async #ask(
    request: ChatRequest,
    named: string | undefined,
    call: AgentCall,
    sink: Sink,
    beforeEnd?: (last: Batch) => Promise<void>,
  ): Promise<void> {
    const { systemPrompt } = this.#config;
    const prompted = systemPrompt
      ? { ...request, messages: [{ role: 'system' as const, content: systemPrompt }, ...request.messages] }
      : request;
    const names = await this.#route(named);
    for (const [index, name] of names.entries()) {
      const agent = this.#agents.find(name);
      if (!agent) {
        // It has left meanwhile.
        if (index === names.length - 1) throw this.#unknown(name);
        continue;
      }
      await sink.write([{ type: 'agent', agent: agent.name, fallback: index > 0 }]);
      const attempt = new Attempt(this.#bus, request, agent, index > 0);
      const { headers } = attempt;
      let spoken = false;
      let atSink = false;
      const answer = this.answers.begin(agent, call.signal);
      const { signal } = answer;
      if (this.#agents.find(name) !== agent) answer.stop();
      try {
        await answer.given(async () => {
          checkContent(agent, prompted);
          for await (const pulled of agent.generateResponseStream(prompted, { ...call, signal, headers })) {
            const chunks = checkedChunks(pulled, agent.name);
            if (answer.isOver) return;
            if (chunks.length === 0) continue;
            spoken = true;
            const whole = isWhole(chunks);
            if (whole) {
              answer.complete();
              attempt.answered(chunks);
              await beforeEnd?.(chunks);
            }
            atSink = true;
            const written = sink.write(chunks);
            if (written) await written;
            atSink = false;
            if (whole) return;
          }
          throw new WaggleError('AGENT_DISCONNECTED', { agent: name, why: 'it ended without "done"' });
        });
        return;
      } catch (error) {
        const failure = answer.failure ?? failureOf(agent, error);
        // Stopped, or nobody takes it any more.
        if (call.signal.aborted || atSink) attempt.cancelled();
        else {
          attempt.failed(failure);
          if (isFault(failure)) this.#health.doubt(agent);
        }
        if (spoken || call.signal.aborted || index === names.length - 1) throw failure;
        call.logger.warn(
          { err: error, agent: agent.name },
          'failed before its first token; asking the next one',
        );
      }
    }
  }

  /** The names of the agents to ask, in order. Who is asked for by name is asked alone. */
  async #route(named: string | undefined): Promise<readonly string[]> {
    if (named !== undefined && named !== this.name) {
      if (this.#agents.find(named)) return [named];
      throw this.#unknown(named);
    }
    const candidates = this.#candidates();
    for (const [index, agent] of candidates.entries())
      if (await this.#health.isHealthy(agent)) return candidates.slice(index).map(({ name }) => name);
    throw new WaggleError('AGENT_UNAVAILABLE', {
      agent: this.name,
      why: `none of ${this.#config.candidates.join(', ')} is registered and healthy`,
      retryAfterMs: this.#config.healthTtlMs,
    });
  }

  #unknown(agent: string): WaggleError {
    return new WaggleError('AGENT_UNKNOWN', { agent, known: [...this.#agents].map((each) => each.name) });
  }

  #candidates(): readonly Agent[] {
    const others = this.#config.candidates.filter((name) => name !== this.name);
    return others.flatMap((name) => this.#agents.find(name) ?? []);
  }

  async #remember(
    key: ConversationKey,
    messages: readonly ChatMessage[],
    call: AgentCall,
  ): Promise<readonly ChatMessage[] | undefined> {
    try {
      await this.#store.append(key, messages);
      return messages;
    } catch (err) {
      // The answer is whole and the client shall have it.
      call.logger.error({ err }, 'the conversation could not be stored');
      return undefined;
    }
  }

  async #forget(key: ConversationKey, messages: readonly ChatMessage[], call: AgentCall): Promise<void> {
    try {
      await retract(this.#store, key, messages);
    } catch (err) {
      call.logger.error({ err }, 'an answer that was stopped could not be taken back');
    }
  }
}

/** What a third party's agent throws may hold anything; only errors of the catalogue go to the client as they are. */
function failureOf(agent: Agent, error: unknown): unknown {
  if (error instanceof Error && error.name === 'WaggleError') return error;
  return new WaggleError(
    'AGENT_FAILED',
    { agent: agent.name, why: 'it threw an error' },
    {
      cause: error instanceof Error ? error : new Error(messageOf(error)),
    },
  );
}
