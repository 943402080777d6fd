import {
  type AgentResponse,
  type ChatMessage,
  type ChatRequest,
  type ConversationStore,
  type Logger,
  type Principal,
  type TaskDefinition,
  type TaskEngine,
  WaggleError,
} from '#kernel';
import { titleFrom } from '#sdk';
import { z } from '#zod';
import { RecentMap } from './recent-map.js';
import { keyOf } from './request-key.js';

const taskName = 'chat:title';
const waitingLimit = 1000;
/** Characters of each message that a title is made of. */
const textLimitChars = 2000;
const timeoutMs = 60_000;
const prompt =
  'Give the conversation below a title of at most six words, in its own language. Answer with the title alone, without quotation marks.';

/** A conversation of one turn, and who gives it its title. */
export interface Untitled {
  readonly agent: string;
  readonly model: string | undefined;
  readonly question: string;
  readonly answer: string;
  readonly logger: Logger;
  readonly principal: Principal | undefined;
  readonly request: Pick<ChatRequest, 'id' | 'userId' | 'conversationId'>;
}

/** Asks an agent for a title. */
type Ask = (
  untitled: Untitled,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
) => Promise<AgentResponse>;

/** Titles of conversations, made after the first answer, with low priority. */
export class Titles {
  readonly #waiting = new RecentMap<Untitled>(waitingLimit);
  readonly #engine: Pick<TaskEngine, 'submit'>;
  readonly task: TaskDefinition<{ readonly conversationId: string }, { readonly title: string }>;

  constructor(engine: Pick<TaskEngine, 'submit'>, store: Pick<ConversationStore, 'rename'>, ask: Ask) {
    this.#engine = engine;
    this.task = {
      name: taskName,
      description: 'Gives a conversation a title after its first answer',
      input: z.object({ conversationId: z.string().min(1).max(128) }),
      lane: 'main',
      priority: 'low',
      concurrency: 1,
      maxQueued: 100,
      timeoutMs,
      run: async ({ conversationId }, { userId = '', signal }) => {
        const untitled = this.#waiting.get(keyOf({ userId, conversationId }));
        if (!untitled) throw new WaggleError('TASK_FAILED', { task: taskName, why: 'it has its title' });
        const { content } = await ask(untitled, questionFor(untitled), signal);
        const title = titleIn(content);
        if (title !== '') await store.rename?.({ userId, conversationId }, title);
        return { title };
      },
    };
  }

  /** Has a conversation named. */
  request(untitled: Untitled): void {
    const { userId, conversationId = '' } = untitled.request;
    this.#waiting.set(keyOf(untitled.request), untitled);
    void this.#run(userId, conversationId);
  }

  async #run(owner: string | undefined, conversationId: string): Promise<void> {
    try {
      const run = await this.#engine.submit(taskName, { conversationId }, { priority: 'low', owner });
      await run.result;
    } catch {
      // There is no room, or it has failed, which the engine logs: the first words stay its title.
    }
  }
}

/** The first line of what a model says, without the signs that models put around a title. */
function titleIn(content: string): string {
  const line = content.split('\n').find((each) => each.trim() !== '') ?? '';
  return titleFrom(line.replace(/^[\s"'“„«*#]+|[\s"'”“»*.]+$/g, ''));
}

function questionFor({ question, answer }: Untitled): readonly ChatMessage[] {
  const said = `user: ${question.slice(0, textLimitChars)}\n\nassistant: ${answer.slice(0, textLimitChars)}`;
  return [
    { role: 'system', content: prompt },
    { role: 'user', content: said },
  ];
}
