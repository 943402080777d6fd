import {
  events,
  lines,
  type Script,
  type ScriptedServer,
  type Seen,
  startScriptedServer,
} from '../support/scripted-server.js';

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape.
type Json = any;

/** One answer of the model. */
interface Turn {
  readonly thinking?: string;
  readonly text: string;
  readonly call?: { readonly name: string; readonly arguments: object };
}

/** Names under which agents of the command line offer a shell. */
const shell = /^(exec_command|bash|Bash)$/;
export const shellCommand = 'echo seen-by-tool';

/** Arguments of the tools that it calls. */
function argumentsFor({ name, parameters }: Json): object {
  if (shell.test(name))
    return { [parameters.properties.cmd ? 'cmd' : 'command']: shellCommand, description: 'Says something' };
  return name.startsWith('transfer_to_') ? {} : { city: 'Köln' };
}

/** It calls the first tool that it knows, says then the last line of the result, and never calls one a second time. */
function turnOf({ messages, tools = [], think, format, response_format }: Json): Turn {
  const thinking = think ? { thinking: 'Hm' } : {};
  if (format ?? response_format) return { text: '{"city":"Köln"}' };
  const last = messages.at(-1);
  const offered = tools.map((tool: Json) => tool.function);
  const called = new Set(
    messages.flatMap((message: Json) => (message.tool_calls ?? []).map((call: Json) => call.function.name)),
  );
  const wanted = offered.find(
    ({ name }: Json) =>
      (shell.test(name) || /^(get_weather|transfer_to_\w+)$/.test(name)) && !called.has(name),
  );
  const isAsked = messages.some(
    ({ role, content }: Json) => role === 'user' && /weather|run/i.test(textOf(content)),
  );
  if (wanted && isAsked)
    return { ...thinking, text: 'I look. ', call: { name: wanted.name, arguments: argumentsFor(wanted) } };
  if (last.role === 'tool')
    return { ...thinking, text: `It said: ${textOf(last.content).trim().split('\n').at(-1)}` };
  const users = messages.filter(({ role }: Json) => role === 'user');
  return { ...thinking, text: `Grüße, 世界 🐝! ${users.length} questions, ${picturesIn(messages)} pictures` };
}

function picturesIn(messages: Json): number {
  const ofOllama = messages.flatMap(({ images = [] }: Json) => images);
  const ofOpenAi = messages.flatMap(({ content }: Json) => (Array.isArray(content) ? content : []));
  return ofOllama.length + ofOpenAi.filter(({ type }: Json) => type === 'image_url').length;
}

function textOf(content: Json): string {
  if (Array.isArray(content)) return content.map((part: Json) => part.text ?? '').join('');
  return content ?? '';
}

const dialects = {
  ollama({ body }: Seen): Script {
    const { thinking, text, call } = turnOf(body);
    const said = [
      ...(thinking ? [{ thinking, content: '' }] : []),
      ...[...text].map((content) => ({ content })),
    ];
    const calls = call ? [{ content: '', tool_calls: [{ function: call }] }] : [];
    const end = { done: true, done_reason: 'stop', prompt_eval_count: 5, eval_count: 7 };
    const messages = [...said, ...calls].map((message) => ({
      message: { role: 'assistant', ...message },
      done: false,
    }));
    const empty = { role: 'assistant', content: '' };
    return {
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines(...messages, { message: empty, ...end }),
    };
  },
  openai({ body }: Seen): Script {
    const { thinking, text, call } = turnOf({
      ...body,
      think: body.reasoning_effort && body.reasoning_effort !== 'none',
    });
    const delta = (more: object, finish_reason: string | null = null) => ({
      choices: [{ delta: more, finish_reason }],
    });
    const said = [...text].map((content) => delta({ content }));
    const args = JSON.stringify(call?.arguments ?? {});
    const begun = {
      index: 0,
      id: `c${body.messages.length}`,
      type: 'function',
      function: { name: call?.name, arguments: args.slice(0, 5) },
    };
    const rest = { index: 0, function: { arguments: args.slice(5) } };
    const calls = call ? [delta({ tool_calls: [begun] }), delta({ tool_calls: [rest] })] : [];
    const usage = { choices: [], usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 } };
    return {
      headers: { 'content-type': 'text/event-stream' },
      body: events(
        ...(thinking ? [delta({ reasoning_content: thinking })] : []),
        ...said,
        ...calls,
        delta({}, call ? 'tool_calls' : 'stop'),
        usage,
        '[DONE]',
      ),
    };
  },
} as const satisfies Readonly<Record<string, (request: Seen) => Script>>;

export type ModelDialect = keyof typeof dialects;

export interface Model {
  readonly server: ScriptedServer;
  /** Config of the plugins that use it. */
  readonly plugins: object;
  /** What clients call it. */
  readonly name: string;
}

const shown = { capabilities: ['completion', 'tools', 'thinking', 'vision'], model_info: {} };

/** A model server that calls the tools it is offered: once each, where the user speaks of the weather or of running something. */
export async function startModel(dialect: ModelDialect): Promise<Model> {
  const shows = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(shown) };
  const server = await startScriptedServer(dialects[dialect], { shows });
  const baseUrl = dialect === 'openai' ? `${server.url}/v1` : server.url;
  return { server, plugins: { [`agent-${dialect}`]: { config: { baseUrl } } }, name: `${dialect}/m` };
}
