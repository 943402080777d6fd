import type {
  AgentResponse,
  ChatMessage,
  ChatRequest,
  Logger,
  Principal,
  TaskDefinition,
  TaskEngine,
} from '#kernel';
import { WaggleError } from '#kernel';
import { z } from '#zod';
import { RecentMap } from './recent-map.js';
import { keyOf } from './request-key.js';

const taskName = 'chat:summarise';
const conversationLimit = 1000;
/** Characters of earlier turns that are summarised at once, and of a summary. */
const textLimitChars = 60_000;
const summaryLimitChars = 4000;
/** Characters of a token at the least, so that the question fits. */
const charsPerToken = 2;
const timeoutMs = 120_000;
const prompt =
  'Summarise the conversation below for somebody who goes on with it: facts, names, numbers, decisions and open questions, in its own language, in at most 200 words. Answer with the summary alone.';

/** Earlier turns that a model did not get, and who is to summarise them. */
export interface LeftOut {
  readonly agent: string;
  readonly model: string | undefined;
  readonly messages: readonly ChatMessage[];
  /** The context window of the model in tokens. */
  readonly window: number | undefined;
  readonly logger: Logger;
  readonly principal: Principal | undefined;
  readonly request: Pick<ChatRequest, 'id' | 'userId' | 'conversationId'>;
}

/** A summary, as the model gets it. */
export interface Summary {
  readonly text: string;
  /** Whether it is of these turns: one of turns that the model still gets is of another time. */
  standsFor(leftOut: readonly ChatMessage[]): boolean;
}

interface Kept {
  readonly text: string;
  /** The mark of the last message that it covers. */
  readonly last: string;
}

/** Asks an agent for a summary. */
type Ask = (
  leftOut: LeftOut,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
) => Promise<AgentResponse>;

/** Summaries that stand for turns that no longer fit, made after the answer, with low priority. */
export class Summaries {
  readonly #kept = new RecentMap<Kept>(conversationLimit);
  readonly #waiting = new RecentMap<LeftOut>(conversationLimit);
  readonly #engine: Pick<TaskEngine, 'submit'>;
  readonly task: TaskDefinition<{ readonly conversationId: string }, { readonly chars: number }>;

  constructor(engine: Pick<TaskEngine, 'submit'>, ask: Ask) {
    this.#engine = engine;
    this.task = {
      name: taskName,
      description: 'Summarises the turns of a conversation that its model no longer gets',
      input: z.object({ conversationId: z.string().min(1).max(128) }),
      lane: 'main',
      priority: 'low',
      concurrency: 1,
      maxQueued: 100,
      timeoutMs,
      run: async ({ conversationId }, { userId = '', signal }) => {
        const key = keyOf({ userId, conversationId });
        const leftOut = this.#waiting.get(key);
        if (!leftOut) throw new WaggleError('TASK_FAILED', { task: taskName, why: 'nothing was left out' });
        const before = this.#kept.get(key);
        const { content } = await ask(leftOut, questionFor(leftOut, before), signal);
        const text = content.trim().slice(0, summaryLimitChars);
        if (text !== '') this.#kept.set(key, { text, last: markOf(leftOut.messages.at(-1)) });
        return { chars: text.length };
      },
    };
  }

  /** The summary of a conversation; undefined for none. */
  find(request: Pick<ChatRequest, 'userId' | 'conversationId'>): Summary | undefined {
    const kept = this.#kept.get(keyOf(request));
    if (!kept) return undefined;
    return {
      text: `Summary of the conversation so far: ${kept.text}`,
      standsFor: (leftOut) => leftOut.some((message) => markOf(message) === kept.last),
    };
  }

  /** Has turns summarised, unless they are. */
  request(leftOut: LeftOut): void {
    const { request, messages } = leftOut;
    const key = keyOf(request);
    if (messages.length === 0 || this.#kept.get(key)?.last === markOf(messages.at(-1))) return;
    const { userId, conversationId = '' } = request;
    this.#waiting.set(key, leftOut);
    void this.#run(userId, conversationId);
  }

  async #run(owner: string | undefined, conversationId: string): Promise<void> {
    try {
      const run = await this.#engine.submit(taskName, { conversationId }, { priority: 'low', owner });
      await run.result;
    } catch {
      // There is no room, or it has failed, which the engine logs: the next turn asks again.
    }
  }
}

function questionFor({ messages, window }: LeftOut, before: Kept | undefined): readonly ChatMessage[] {
  const from = before ? messages.findLastIndex((message) => markOf(message) === before.last) + 1 : 0;
  const said = messages
    .slice(from)
    .filter(({ content }) => content !== '')
    .map(({ role, content }) => `${role}: ${content}`)
    .join('\n\n');
  const earlier = before && from > 0 ? `Summary of what was said before:\n${before.text}\n\n` : '';
  return [
    { role: 'system', content: prompt },
    {
      role: 'user',
      content: `${earlier}${said.slice(-Math.min(textLimitChars, (window ?? textLimitChars) * charsPerToken))}`,
    },
  ];
}

/** The mark of a message by which it is found again. */
function markOf(message: ChatMessage | undefined): string {
  const { role = '', content = '' } = message ?? {};
  return `${role} ${content.length} ${content.slice(0, 200)}`;
}
