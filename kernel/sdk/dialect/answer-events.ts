import type { Logprob, ToolCall } from '../../contracts/agent.js';
import type { ContextReport } from '../../contracts/chat.js';
import type { CancelReason, Timings } from '../../contracts/stream.js';
import type { Usage } from '../../contracts/usage.js';
import type { ClientErrorCode, WaggleError } from '../../errors.js';

/** The end of a complete answer. */
export interface AnswerEnd {
  /** `stop`, `length`, `tool_calls` where the client has to run the last calls, or a reason of the agent's own. */
  readonly reason: string;
  readonly agent: string;
  readonly usage: Usage | undefined;
  /** Absent for an answer that came as one message. */
  readonly timings: Timings | undefined;
  /** The part of the conversation that the agent has got. */
  readonly context?: ContextReport | undefined;
  /** Whether the model has read less than it was sent. */
  readonly truncated?: boolean | undefined;
}

/**
 * Writes one answer as the events of a dialect. A state machine over the log of the reply: the same log gives the same
 * events, so that an answer can be read again.
 */
export interface AnswerEvents {
  /** The answer begins. Called once, and first, unless the reply fails before. */
  begin(agent: string): void;
  text(content: string): void;
  thinking(content: string): void;
  /** The log probabilities of the text that comes next, for formats that have them. */
  logprobs?(logprobs: readonly Logprob[]): void;
  /** A tool call begins, with its arguments so far. `index` counts the calls of the answer. */
  call(index: number, call: ToolCall): void;
  /** The next part of its arguments. */
  callPart(index: number, text: string, extra?: ToolCall['extra']): void;
  /** The call is complete. */
  callEnd(index: number, call: ToolCall): void;
  end(end: AnswerEnd): void;
  /** The reply failed, or was cancelled for a reason. */
  fail(failure: WaggleError<ClientErrorCode>, cancelled?: CancelReason): void;
}

/** The same as text of a response body. */
export interface AnswerTexts extends AnswerEvents {
  /** The text of all events since the last call, perhaps ''. */
  take(): string;
}
