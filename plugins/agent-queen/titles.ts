import type { ChatMessage, ConversationStore, TaskEngine } from '#kernel';
import { titleFrom } from '#sdk';
import { type Aside, AsideTask, type AskAside } from './aside-task.js';

/** Characters of each message that a title is made of. */
const textLimitChars = 2000;
const prompt =
  'Give the conversation below a title of at most six words, in its own language. Answer with the title alone, without quotation marks.';

/** A conversation of one turn. */
export interface Untitled extends Aside {
  readonly question: string;
  readonly answer: string;
}

/** Names conversations after their first answer. */
export function titlesBy(
  engine: Pick<TaskEngine, 'submit'>,
  store: Pick<ConversationStore, 'rename'>,
  ask: AskAside,
): AsideTask<Untitled, { readonly title: string }> {
  return new AsideTask(engine, {
    name: 'chat:title',
    description: 'Gives a conversation a title after its first answer',
    timeoutMs: 60_000,
    run: async (untitled: Untitled, key, signal) => {
      const { content } = await ask(untitled, questionFor(untitled), signal);
      const title = titleIn(content);
      if (title !== '') await store.rename?.(key, title);
      return { title };
    },
  });
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
