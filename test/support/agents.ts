import { pino } from 'pino';
import type {
  Agent,
  AgentCall,
  AgentHealth,
  CallContext,
  ChatMessage,
  ChatRequest,
  StreamChunk,
} from '#kernel';

/** What a scripted agent does next: yields, throws, or waits until it is released or aborted. */
export type Step = StreamChunk | readonly StreamChunk[] | Error | 'wait';

export const text = (content: string): StreamChunk => ({ type: 'text', content });
export const done: StreamChunk = {
  type: 'done',
  reason: 'stop',
  usage: { inputTokens: 1, outputTokens: 2 },
};

/** An agent that follows a script and remembers what it was asked. */
export class ScriptedAgent implements Agent {
  readonly name: string;
  readonly requests: ChatRequest[] = [];
  /** Calls that have begun and not ended. */
  running = 0;
  healthy: AgentHealth | Error = { healthy: true };
  script: readonly Step[];
  readonly #waiting = new Set<() => void>();

  constructor(name: string, script: readonly Step[] = [text('Hello '), text('there'), done]) {
    this.name = name;
    this.script = script;
  }

  /** Lets every waiting call go on. */
  release(): void {
    for (const go of this.#waiting) go();
  }

  async health(): Promise<AgentHealth> {
    if (this.healthy instanceof Error) throw this.healthy;
    return this.healthy;
  }

  async *generateResponseStream(request: ChatRequest, { signal }: AgentCall) {
    this.requests.push(request);
    this.running++;
    try {
      for (const step of this.script) {
        if (step instanceof Error) throw step;
        if (step === 'wait') await this.#wait(signal);
        else yield step;
      }
    } finally {
      this.running--;
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    let go = () => {};
    let abort = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        go = resolve;
        abort = () => reject(signal.reason);
        this.#waiting.add(go);
        if (signal.aborted) abort();
        signal.addEventListener('abort', abort);
      });
    } finally {
      this.#waiting.delete(go);
      signal.removeEventListener('abort', abort);
    }
  }
}

/** A call that nobody aborts. */
export function call(signal: AbortSignal = new AbortController().signal): AgentCall {
  return agentCall({ signal, logger: pino({ level: 'silent' }) });
}

/** The call of an agent that is alone. */
export function agentCall(context: CallContext): AgentCall {
  const alone = () => {
    throw new Error('there are no other agents');
  };
  return { ...context, ask: alone, stream: alone, useTools: (_, request, answer) => answer(request) };
}

/** Stored messages without their times, without who has answered, and without why not. */
export function unstamped(messages: readonly ChatMessage[]): readonly ChatMessage[] {
  return messages.map(({ at: _, answered: __, failure: ___, ...message }) => message);
}
