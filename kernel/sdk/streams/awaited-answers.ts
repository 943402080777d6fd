import type { ClientAnswer } from '../../contracts/chat.js';

interface Waiting {
  readonly type: ClientAnswer['type'];
  readonly give: (answer: ClientAnswer) => void;
}

/** Answers of the client that one reply waits for, by the tool call that they are about. */
export class AwaitedAnswers {
  readonly #waiting = new Map<string, Waiting>();

  /** Undefined when none comes in time. @throws the reason of the abort */
  async wait<Type extends ClientAnswer['type']>(
    type: Type,
    callId: string,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<Extract<ClientAnswer, { readonly type: Type }> | undefined> {
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    try {
      const answer = await new Promise<ClientAnswer | undefined>((resolve, reject) => {
        this.#waiting.set(callId, { type, give: resolve });
        timer = setTimeout(() => resolve(undefined), timeoutMs);
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
      });
      return answer as Extract<ClientAnswer, { readonly type: Type }> | undefined;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.#waiting.delete(callId);
    }
  }

  /** False when nothing waits for it. */
  give(callId: string, answer: ClientAnswer): boolean {
    const waiting = this.#waiting.get(callId);
    if (waiting?.type !== answer.type) return false;
    // The second answer in the same turn of the event loop is one too many.
    this.#waiting.delete(callId);
    waiting.give(answer);
    return true;
  }
}
