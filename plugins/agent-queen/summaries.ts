import type { ChatMessage, ChatRequest, TaskEngine } from '#kernel';
import { type Aside, AsideTask, type AskAside } from './aside-task.js';
import { RecentMap } from './recent-map.js';
import { keyOf } from './request-key.js';

const conversationLimit = 1000;
/** Characters of earlier turns that are summarised at once, and of a summary. */
const textLimitChars = 60_000;
const summaryLimitChars = 4000;
/** Characters of a token at the least, so that the question fits. */
const charsPerToken = 2;
const prompt =
  'Summarise the conversation below for somebody who goes on with it: facts, names, numbers, decisions and open questions, in its own language, in at most 200 words. Answer with the summary alone.';

/** Earlier turns that a model did not get. */
export interface LeftOut extends Aside {
  readonly messages: readonly ChatMessage[];
  /** The context window of the model in tokens. */
  readonly window: number | undefined;
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

/** Summaries that stand for turns that no longer fit. */
export class Summaries {
  readonly #kept = new RecentMap<Kept>(conversationLimit);
  readonly task: AsideTask<LeftOut, { readonly chars: number }>;

  constructor(engine: Pick<TaskEngine, 'submit'>, ask: AskAside) {
    this.task = new AsideTask(engine, {
      name: 'chat:summarise',
      description: 'Summarises the turns of a conversation that its model no longer gets',
      timeoutMs: 120_000,
      run: async (leftOut, key, signal) => {
        const before = this.#kept.get(keyOf(key));
        const { content } = await ask(leftOut, questionFor(leftOut, before), signal);
        const text = content.trim().slice(0, summaryLimitChars);
        if (text !== '') this.#kept.set(keyOf(key), { text, last: markOf(leftOut.messages.at(-1)) });
        return { chars: text.length };
      },
    });
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
    const last = leftOut.messages.at(-1);
    if (last && this.#kept.get(keyOf(leftOut.request))?.last !== markOf(last)) this.task.request(leftOut);
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
