import type { ChatMessage, ToolCall } from '#kernel';

const none: readonly ChatMessage[] = [];

/** The rounds of tools in one reply, for its conversation. */
export class Transcript {
  readonly #reply: { readonly text: string };
  // Made when they are needed: most answers call no tool.
  #messages: ChatMessage[] | undefined;
  #ids: Set<string> | undefined;
  /** Characters of the text that the messages have. */
  #textChars = 0;
  /** The chat agent, whose messages have no mark. */
  readonly #chat: string;
  #agent: string | undefined;

  /** `reply` has the whole text so far. */
  constructor(reply: { readonly text: string }, chat: string) {
    this.#reply = reply;
    this.#chat = chat;
  }

  /** From now on the conversation is that of this agent. */
  handOver(agent: string): void {
    this.#agent = agent === this.#chat ? undefined : agent;
  }

  get messages(): readonly ChatMessage[] {
    return this.#messages ?? none;
  }

  /** The part of a text of the whole reply that follows the last round. */
  rest(text: string): string {
    return text.slice(this.#textChars);
  }

  /** Whether a call is one of its rounds. */
  has(callId: string): boolean {
    return this.#ids?.has(callId) === true;
  }

  /** Adds one round: the calls with their results, in the same order. */
  add(calls: readonly ToolCall[], results: readonly ChatMessage[]): void {
    const { text } = this.#reply;
    const content = this.rest(text);
    this.#textChars = text.length;
    this.#ids ??= new Set();
    for (const { id } of calls) this.#ids.add(id);
    this.#messages ??= [];
    this.#messages.push(
      { role: 'assistant', content, toolCalls: calls, ...this.by },
      ...results.map((each) => ({ ...each, ...this.by })),
    );
  }

  /** The mark of messages of an agent that has the conversation. */
  get by(): { readonly agent?: string } {
    return this.#agent === undefined ? {} : { agent: this.#agent };
  }
}
