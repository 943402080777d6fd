import type { ClientErrorCode, ToolCall, WaggleError } from '#kernel';
import { Verbatim } from '#sdk';
import { type Answer, type AnswerEnd, type AnswerTexts, callsOf, textOf } from '#sdk/dialect';
import { ollamaErrorBody } from './errors.js';

/** A part of an answer, before it has the form of a route. */
interface Part {
  readonly content?: string;
  readonly thinking?: string;
  readonly calls?: readonly object[];
}

/** The fields of a part in the answers of a route. */
export type Shape = (part: Part) => object;

/** As `/api/chat` has them. */
export const chatShape: Shape = ({ content = '', thinking, calls }) => ({
  message: {
    role: 'assistant',
    content,
    ...(thinking && { thinking }),
    ...(calls && { tool_calls: calls }),
  },
});

/** As `/api/generate` has them. */
export const generateShape: Shape = ({ content = '', thinking, calls }) => ({
  response: content,
  ...(thinking && { thinking }),
  ...(calls && { tool_calls: calls }),
});

/** Lines of JSON, one for each piece of an answer. */
export class Lines implements AnswerTexts {
  readonly #shape: Shape;
  readonly #modelOf: (agent: string) => string;
  #model = '';
  #text = '';

  constructor(shape: Shape, modelOf: (agent: string) => string) {
    this.#shape = shape;
    this.#modelOf = modelOf;
  }

  take(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  begin(agent: string): void {
    this.#model = this.#modelOf(agent);
  }

  text(content: string): void {
    this.#piece({ content });
  }

  thinking(thinking: string): void {
    this.#piece({ thinking });
  }

  // A call has one line, with all of its arguments.
  call(): void {}

  callPart(): void {}

  callEnd(index: number, call: ToolCall): void {
    const verbatim = new Verbatim();
    this.#piece({ calls: [callOf(call, index, verbatim)] }, verbatim);
  }

  end(end: AnswerEnd): void {
    this.#write({ ...headOf(this.#model), ...this.#shape({}), ...endOf(end) });
  }

  fail(failure: WaggleError<ClientErrorCode>): void {
    this.#write(ollamaErrorBody(failure));
  }

  #piece(part: Part, verbatim?: Verbatim): void {
    this.#write({ ...headOf(this.#model), ...this.#shape(part), done: false }, verbatim);
  }

  #write(value: object, verbatim?: Verbatim): void {
    const text = JSON.stringify(value);
    this.#text += `${verbatim ? verbatim.splice(text) : text}\n`;
  }
}

/** A whole answer as JSON. */
export function wholeText(answer: Answer, model: string, shape: Shape): string {
  const verbatim = new Verbatim();
  const calls = callsOf(answer).map((call, index) => callOf(call, index, verbatim));
  const part = {
    content: textOf(answer, 'text'),
    thinking: textOf(answer, 'thinking'),
    ...(calls.length > 0 && { calls }),
  };
  return verbatim.splice(JSON.stringify({ ...headOf(model), ...shape(part), ...endOf(answer) }));
}

/** The answer to a request without a prompt. */
export function loadedBody(model: string, shape: Shape, unloads: boolean): object {
  return { ...headOf(model), ...shape({}), done: true, done_reason: unloads ? 'unload' : 'load' };
}

function headOf(model: string): object {
  return { model, created_at: new Date().toISOString() };
}

function callOf({ id, name, arguments: args }: ToolCall, index: number, verbatim: Verbatim): object {
  return { id, function: { index, name, arguments: verbatim.object(args) } };
}

/** Fields of the last line. Unknown figures are left out, as Ollama leaves out those that are 0. */
function endOf({ reason, usage, timings }: AnswerEnd): object {
  const { queuedMs = 0, firstTokenMs, totalMs } = timings ?? {};
  return {
    done: true,
    // A call of a tool is not a reason of its own here.
    done_reason: reason === 'tool_calls' ? 'stop' : reason,
    ...nanoseconds('total_duration', totalMs),
    ...(usage && usage.inputTokens > 0 && { prompt_eval_count: usage.inputTokens }),
    ...nanoseconds('prompt_eval_duration', firstTokenMs && firstTokenMs - queuedMs),
    ...(usage && usage.outputTokens > 0 && { eval_count: usage.outputTokens }),
    ...nanoseconds('eval_duration', totalMs && firstTokenMs && totalMs - firstTokenMs),
  };
}

/** A duration under its name; nothing where it is unknown. */
export function nanoseconds(name: string, ms: number | undefined): Readonly<Record<string, number>> {
  return ms === undefined || ms <= 0 ? {} : { [name]: Math.round(ms * 1e6) };
}
