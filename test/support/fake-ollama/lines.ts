import { rfc3339, wallClockMs } from './time.js';

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

/** Counts and durations of the final line; zeros are left out. */
export interface Metrics {
  readonly total_duration?: number;
  readonly load_duration?: number;
  readonly prompt_eval_count?: number;
  readonly prompt_eval_duration?: number;
  readonly eval_count?: number;
  readonly eval_duration?: number;
}

/** How a line ends the answer, if it does. */
export interface Ending {
  readonly done: boolean;
  readonly reason?: string;
  readonly metrics?: Metrics;
  readonly context?: readonly number[];
}

function unlessEmpty<T>(value: T | undefined): T | undefined {
  return value === '' || value === 0 || (Array.isArray(value) && value.length === 0) ? undefined : value;
}

function orderedMetrics(metrics: Metrics): Metrics {
  return {
    total_duration: unlessEmpty(metrics.total_duration),
    load_duration: unlessEmpty(metrics.load_duration),
    prompt_eval_count: unlessEmpty(metrics.prompt_eval_count),
    prompt_eval_duration: unlessEmpty(metrics.prompt_eval_duration),
    eval_count: unlessEmpty(metrics.eval_count),
    eval_duration: unlessEmpty(metrics.eval_duration),
  } as Metrics;
}

/** One object of `/api/chat`, keys in the server's order. */
export function chatObject(model: string, delta: Delta, ending: Ending): object {
  return {
    model,
    created_at: rfc3339(wallClockMs()),
    message: {
      role: 'assistant',
      content: delta.content ?? '',
      thinking: unlessEmpty(delta.thinking),
      tool_calls: unlessEmpty(delta.toolCalls),
    },
    done: ending.done,
    done_reason: ending.reason,
    ...orderedMetrics(ending.metrics ?? {}),
  };
}

/** One object of `/api/generate`, keys in the server's order. */
export function generateObject(model: string, delta: Delta, ending: Ending): object {
  return {
    model,
    created_at: rfc3339(wallClockMs()),
    response: delta.content ?? '',
    thinking: unlessEmpty(delta.thinking),
    done: ending.done,
    done_reason: ending.reason,
    context: unlessEmpty(ending.context),
    ...orderedMetrics(ending.metrics ?? {}),
    tool_calls: unlessEmpty(delta.toolCalls),
  };
}
