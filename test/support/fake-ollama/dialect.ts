/** One tool call; `arguments` is an object. */
export interface ToolCall {
  readonly id?: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

/** The share of one line in the answer. */
export interface Delta {
  readonly content?: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly ToolCall[];
}

/** The end of an answer, with its usage in tokens. */
export interface Ending {
  readonly done: boolean;
  readonly reason?: string;
  readonly usage?: { readonly prompt: number; readonly answer: number };
}

/** The notation of an answer: Ollama's own lines, or the events of OpenAI's API, which it serves as well. */
export interface Dialect {
  readonly streamType: string;
  /** Any text as one piece of a stream. */
  frame(text: string): string;
  render(model: string | undefined, delta: Delta, ending: Ending): string;
  error(text: string, status: number): object;
}

const escapes: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** Writes JSON as Go's encoder does: HTML-safe escapes, lone surrogates replaced, other text raw. */
export function goJson(value: unknown): string {
  const text = JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'string' ? item.replace(/\p{Surrogate}/gu, '\ufffd') : item,
  );
  return text.replace(/[<>&\u2028\u2029]/g, (char) => escapes[char] ?? char);
}

const own: Dialect = {
  streamType: 'application/x-ndjson',
  frame: (text) => `${text}\n`,
  // Keys in the server's order.
  render: (model = '', { content = '', thinking, toolCalls }, { done, reason, usage }) =>
    own.frame(
      goJson({
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
      }),
    ),
  error: (text) => ({ error: text }),
};

const openAi: Dialect = {
  streamType: 'text/event-stream',
  frame: (text) => `data: ${text}\n\n`,
  render(model, delta, { done, reason, usage: { prompt, answer } = { prompt: 0, answer: 0 } }) {
    const chunk = (more: object) =>
      goJson({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, ...more });
    const choice = (more: object) => chunk({ choices: [{ index: 0, finish_reason: null, ...more }] });
    const events = deltasOf(delta).map((each) => choice({ delta: each }));
    if (reason !== undefined)
      events.push(choice({ delta: {}, finish_reason: delta.toolCalls?.length ? 'tool_calls' : reason }));
    const usage = { prompt_tokens: prompt, completion_tokens: answer, total_tokens: prompt + answer };
    if (done) events.push(chunk({ choices: [], usage }), '[DONE]');
    return events.map(openAi.frame).join('');
  },
  error: (message, status) => ({
    error: { message, type: 'server_error', param: null, code: status === 404 ? 'model_not_found' : null },
  }),
};

/** The dialect of a path. */
export function dialectOf(path: string): Dialect {
  return path.startsWith('/v1/') ? openAi : own;
}

/** A tool call comes in pieces, as real servers send it. */
function deltasOf({ content = '', thinking, toolCalls = [] }: Delta): object[] {
  const said = { role: 'assistant', content, ...(thinking && { reasoning_content: thinking }) };
  const called = toolCalls.flatMap(({ id, function: { index, name, arguments: args } }) => {
    const text = JSON.stringify(args);
    const half = text.length >> 1;
    return [
      { index, id, type: 'function', function: { name, arguments: '' } },
      { index, function: { arguments: text.slice(0, half) } },
      { index, function: { arguments: text.slice(half) } },
    ];
  });
  return [said, ...called.map((piece) => ({ tool_calls: [piece] }))];
}
