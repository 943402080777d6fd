import type { Script, Seen } from './scripted-server.js';

/** A tool call of a script; `args` is text. */
export interface ScriptCall {
  readonly name: string;
  readonly args: string;
}

/** One turn of a model in a dialect. */
export interface ScriptTurn {
  readonly text?: string;
  readonly calls?: readonly ScriptCall[];
}

export const dialects = ['ollama', 'openai'] as const;
export type Dialect = (typeof dialects)[number];

/** How many rounds of tools a request has had. */
export function roundsOf({ body }: Seen): number {
  return body.messages.filter(({ tool_calls }: { tool_calls?: unknown[] }) => tool_calls?.length).length;
}

/** A turn as the bytes of a dialect; the arguments of OpenAI's calls come in pieces of `pieceChars`, side by side. */
export function answerIn(dialect: Dialect, turn: ScriptTurn, pieceChars = 3): Script {
  return dialect === 'ollama' ? ollama(turn) : openAi(turn, pieceChars);
}

const words = (text: string): readonly string[] => text.match(/\S+\s*/g) ?? [];

function ollama({ text = '', calls = [] }: ScriptTurn): Script {
  const line = (message: object, more: object = {}) =>
    `${JSON.stringify({ model: 'm', message: { role: 'assistant', content: '', ...message }, done: false, ...more })}\n`;
  const tools = calls.map(({ name, args }) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(args);
    } catch {
      parsed = args;
    }
    return { function: { name, arguments: parsed } };
  });
  return {
    headers: { 'content-type': 'application/x-ndjson' },
    body: [
      ...words(text).map((content) => line({ content })),
      ...(tools.length > 0 ? [line({ tool_calls: tools })] : []),
      line({}, { done: true, done_reason: 'stop', prompt_eval_count: 3, eval_count: 2 }),
    ],
  };
}

let ids = 0;

function openAi({ text = '', calls = [] }: ScriptTurn, pieceChars: number): Script {
  const event = (delta: object, reason: string | null = null, more: object = {}) =>
    `data: ${JSON.stringify({ id: 'x', object: 'chat.completion.chunk', model: 'm', choices: [{ index: 0, delta, finish_reason: reason }], ...more })}\n\n`;
  const begun = calls.map(({ name }, index) =>
    event({
      tool_calls: [{ index, id: `call_${++ids}`, type: 'function', function: { name, arguments: '' } }],
    }),
  );
  const pieces: string[] = [];
  const longest = Math.max(0, ...calls.map(({ args }) => args.length));
  for (let from = 0; from < longest; from += pieceChars)
    for (const [index, { args }] of calls.entries()) {
      const piece = args.slice(from, from + pieceChars);
      if (piece !== '') pieces.push(event({ tool_calls: [{ index, function: { arguments: piece } }] }));
    }
  return {
    headers: { 'content-type': 'text/event-stream' },
    body: [
      ...words(text).map((content) => event({ content })),
      ...begun,
      ...pieces,
      event({}, calls.length > 0 ? 'tool_calls' : 'stop'),
      `data: ${JSON.stringify({ id: 'x', choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } })}\n\n`,
      'data: [DONE]\n\n',
    ],
  };
}
