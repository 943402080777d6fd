import { goJson } from './json.js';
import { chatObject, type Delta, type Ending } from './lines.js';
import type { GenerationRequest } from './request.js';

/** How the pieces of an answer are written: Ollama's own lines, or the events of OpenAI's API, which it serves as well. */
export interface Dialect {
  readonly streamType: string;
  /** Any text as one piece of a stream. */
  frame(text: string): string;
  /** What one delta adds; everything that ends the answer where `ending` says so. */
  render(request: GenerationRequest | undefined, delta: Delta, ending: Ending): string;
  error(text: string, status: number): object;
}

const own: Dialect = {
  streamType: 'application/x-ndjson',
  frame: (text) => `${text}\n`,
  render: (request, delta, ending) => `${goJson(chatObject(request?.model ?? '', delta, ending))}\n`,
  error: (text) => ({ error: text }),
};

const openAi: Dialect = {
  streamType: 'text/event-stream',
  frame: (text) => `data: ${text}\n\n`,
  render(request, delta, ending) {
    const events = deltasOf(delta).map((each) => chunk(request, { choices: [choice({ delta: each })] }));
    if (ending.reason !== undefined) {
      const finish_reason = delta.toolCalls?.length ? 'tool_calls' : ending.reason;
      events.push(chunk(request, { choices: [choice({ delta: {}, finish_reason })] }));
    }
    if (ending.done) events.push(chunk(request, { choices: [], usage: usageOf(ending) }), '[DONE]');
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

const none = { prompt: 0, answer: 0 };

function chunk(request: GenerationRequest | undefined, more: object): string {
  const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: request?.model };
  return goJson({ ...head, ...more });
}

function choice(more: object): object {
  return { index: 0, finish_reason: null, ...more };
}

/** A tool call comes in pieces, as real servers send it. */
function deltasOf({ content, thinking, toolCalls = [] }: Delta): object[] {
  const said = {
    role: 'assistant',
    content: content ?? '',
    ...(thinking !== undefined && thinking !== '' && { reasoning_content: thinking }),
  };
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

function usageOf({ usage: { prompt: prompt_tokens, answer: completion_tokens } = none }: Ending): object {
  return { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
}
