import {
  type AgentResponse,
  type ChatMessage,
  type ChatRequest,
  type ConversationKey,
  type Logger,
  type Principal,
  type TaskDefinition,
  type TaskEngine,
  WaggleError,
} from '#kernel';
import { z } from '#zod';
import { keyOf } from './request-key.js';

const waitingLimit = 100;

/** A turn after which an agent is asked something that is no part of the conversation. */
export interface Aside {
  readonly agent: string;
  readonly model: string | undefined;
  readonly logger: Logger;
  readonly principal: Principal | undefined;
  readonly request: Pick<ChatRequest, 'id' | 'userId' | 'conversationId'>;
}

/** Asks the agent of an aside. */
export type AskAside = (
  aside: Aside,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
) => Promise<AgentResponse>;

/** The work of a task on one conversation. */
export interface AsideWork<A extends Aside, R> {
  readonly name: string;
  readonly description: string;
  readonly timeoutMs: number;
  run(aside: A, key: ConversationKey, signal: AbortSignal): Promise<R>;
}

/** A task that is run after an answer, with low priority, at most once at a time for each conversation. */
export class AsideTask<A extends Aside, R> {
  readonly definition: TaskDefinition<{ readonly conversationId: string }, R>;
  readonly #engine: Pick<TaskEngine, 'submit'>;
  /** The newest of each conversation. */
  readonly #waiting = new Map<string, A>();

  constructor(engine: Pick<TaskEngine, 'submit'>, { name, description, timeoutMs, run }: AsideWork<A, R>) {
    this.#engine = engine;
    this.definition = {
      ...{ name, description, timeoutMs, lane: 'main', priority: 'low', concurrency: 1 },
      maxQueued: waitingLimit,
      input: z.object({ conversationId: z.string().min(1).max(128) }),
      run: async ({ conversationId }, { userId = '', signal }) => {
        const key = { userId, conversationId };
        const aside = this.#waiting.get(keyOf(key));
        this.#waiting.delete(keyOf(key));
        if (!aside) throw new WaggleError('TASK_FAILED', { task: name, why: 'no answer asks for it' });
        return run(aside, key, signal);
      },
    };
  }

  /** Has it done; without room it is left out. */
  request(aside: A): void {
    const key = keyOf(aside.request);
    const isWaiting = this.#waiting.has(key);
    if (!isWaiting && this.#waiting.size >= waitingLimit) return;
    this.#waiting.set(key, aside);
    if (!isWaiting) void this.#run(key, aside.request);
  }

  async #run(key: string, { userId, conversationId = '' }: Aside['request']): Promise<void> {
    const { name } = this.definition;
    try {
      const run = await this.#engine.submit(name, { conversationId }, { priority: 'low', owner: userId });
      await run.result;
    } catch {
      // There is no room, or it has failed, which the engine logs: the next answer asks again.
      this.#waiting.delete(key);
    }
  }
}
