/** One tool call; `arguments` is an object. */
export interface ToolCall {
  readonly id?: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

/** What one line adds to the answer. */
export interface Delta {
  readonly content?: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
}

/** How a line ends the answer, if it does; what it has cost is in tokens. */
export interface Ending {
  readonly done: boolean;
  readonly reason?: string;
  readonly usage?: { readonly prompt: number; readonly answer: number };
}

/** One object of `/api/chat`, keys in the server's order. */
export function chatObject(
  model: string,
  { content = '', thinking, toolCalls }: Delta,
  { done, reason, usage }: Ending,
): object {
  return {
    model,
    created_at: new Date().toISOString(),
    message: {
      role: 'assistant',
      content,
      ...(thinking && { thinking }),
      ...(toolCalls?.length && { tool_calls: toolCalls }),
    },
    done,
    done_reason: reason,
    ...(usage?.prompt && { prompt_eval_count: usage.prompt }),
    ...(usage?.answer && { eval_count: usage.answer }),
  };
}
