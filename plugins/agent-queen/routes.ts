import type { ChatMessage } from '#kernel';
import type { Config } from './config.js';
import { TextPattern } from './text-pattern.js';

/** Chooses agents by the words of a question, without a model. */
export class Routes {
  readonly #routes: readonly { readonly pattern: TextPattern; readonly agent: string }[];

  constructor(routes: Config['routes']) {
    this.#routes = routes.map(({ match, agent }) => ({ pattern: new TextPattern(match), agent }));
  }

  /** The agent for the latest message of the user. */
  agentFor(messages: readonly ChatMessage[]): string | undefined {
    if (this.#routes.length === 0) return undefined;
    const asked = messages.findLast(({ role }) => role === 'user');
    return asked && this.#routes.find(({ pattern }) => pattern.isIn(asked.content))?.agent;
  }
}
