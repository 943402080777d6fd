import { firstJsonObject } from './parse.js';
import { Refusal } from './refusal.js';
import { goDurationMs } from './time.js';

/** The two routes that generate. */
export type Route = 'chat' | 'generate';

/** A checked request of `/api/chat` or `/api/generate`. */
export interface GenerationRequest {
  readonly route: Route;
  readonly model: string;
  readonly stream: boolean;
  /** No messages or no prompt: only loads or unloads. */
  readonly empty: boolean;
  readonly keepAliveMs: number | undefined;
  readonly think: boolean | string | undefined;
  readonly toolNames: readonly string[];
  /** The last message is the result of a tool. */
  readonly afterTool: boolean;
  readonly suffix: string;
  readonly raw: boolean;
  readonly promptTokens: number;
}

const defaultContextLength = 4_096;
const integers =
  'num_ctx num_batch num_gpu main_gpu num_thread num_keep seed num_predict top_k repeat_last_n';
const floats = 'top_p min_p typical_p temperature repeat_penalty presence_penalty frequency_penalty';
const optionTypes = new Map([
  ...integers.split(' ').map((name) => [name, 'integer'] as const),
  ...floats.split(' ').map((name) => [name, 'float32'] as const),
]);

type Fields = Record<string, unknown>;

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function field(
  body: Fields,
  goType: string,
  name: string,
  type: 'string' | 'boolean' | 'array' | 'object',
): unknown {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  const found = Array.isArray(value) ? 'array' : typeof value;
  if (found === type) return value;
  const wanted = { string: 'string', boolean: 'bool', array: 'slice', object: 'map[string]interface {}' }[
    type
  ];
  const given = found === 'boolean' ? 'bool' : found;
  throw new Refusal(
    400,
    `json: cannot unmarshal ${given} into Go struct field ${goType}.${name} of type ${wanted}`,
  );
}

/** Milliseconds to keep a model after its last request; negative means for ever. */
function keepAliveOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value < 0 ? Number.POSITIVE_INFINITY : value * 1_000;
  if (typeof value !== 'string') return undefined;
  try {
    const ms = goDurationMs(value);
    return ms < 0 ? Number.POSITIVE_INFINITY : ms;
  } catch (error) {
    throw new Refusal(400, error instanceof Error ? error.message : String(error));
  }
}

function thinkOf(value: unknown): boolean | string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string' && ['high', 'medium', 'low', 'max'].includes(value)) return value;
  const choice = '(must be "high", "medium", "low", "max", true, or false)';
  throw new Refusal(400, `invalid think value: ${JSON.stringify(value)} ${choice}`);
}

function checkOptions(options: Fields): void {
  for (const [name, value] of Object.entries(options)) {
    const type = optionTypes.get(name);
    if (type !== undefined && value !== null && typeof value !== 'number') {
      throw new Refusal(500, `option "${name}" must be of type ${type}`);
    }
  }
}

function checkFormat(format: unknown): void {
  if (format === undefined || format === null || format === '' || format === 'json' || isObject(format))
    return;
  const sent = JSON.stringify(JSON.stringify(format));
  throw new Refusal(500, `invalid format: ${sent}; expected "json" or a valid JSON Schema object`, true);
}

/** Reads and checks a request body; throws the refusal the server would answer. */
export function readRequest(route: Route, text: string): GenerationRequest {
  const goType = route === 'chat' ? 'ChatRequest' : 'GenerateRequest';
  const body = firstJsonObject(text, goType);
  const model = (field(body, goType, 'model', 'string') ?? '') as string;
  const stream = (field(body, goType, 'stream', 'boolean') ?? true) as boolean;
  const messages = ((field(body, goType, 'messages', 'array') ?? []) as unknown[]).filter(isObject);
  const tools = ((field(body, goType, 'tools', 'array') ?? []) as unknown[]).filter(isObject);
  const options = (field(body, goType, 'options', 'object') ?? {}) as Fields;
  const prompt = (field(body, goType, 'prompt', 'string') ?? '') as string;
  const suffix = (field(body, goType, 'suffix', 'string') ?? '') as string;
  const raw = (field(body, goType, 'raw', 'boolean') ?? false) as boolean;
  const keepAliveMs = keepAliveOf(body.keep_alive);
  const think = thinkOf(body.think);

  const top = body.top_logprobs;
  if (typeof top === 'number' && (top < 0 || top > 20)) {
    throw new Refusal(400, 'top_logprobs must be between 0 and 20');
  }
  if (model === '') {
    throw route === 'chat' ? new Refusal(400, 'model is required') : new Refusal(404, "model '' not found");
  }
  if (route === 'generate' && raw && [body.template, body.system, body.context].some(Boolean)) {
    throw new Refusal(400, 'raw mode does not support template, system, or context');
  }
  checkOptions(options);
  checkFormat(body.format);

  const said = route === 'chat' ? messages.map((message) => String(message.content ?? '')).join(' ') : prompt;
  const promptTokens = Math.ceil(said.length / 4);
  const contextLength = typeof options.num_ctx === 'number' ? options.num_ctx : defaultContextLength;
  if (body.truncate === false && promptTokens > contextLength) {
    const start = 'the prompt is longer than the context length currently available to the model';
    throw new Refusal(400, `${start}; shorten the prompt or raise num_ctx`, true);
  }
  return {
    route,
    model,
    stream,
    empty: route === 'chat' ? messages.length === 0 : prompt === '',
    keepAliveMs,
    think,
    toolNames: tools.map((tool) => (isObject(tool.function) ? String(tool.function.name) : '')),
    afterTool: String(messages.at(-1)?.role ?? '').toLowerCase() === 'tool',
    suffix,
    raw,
    promptTokens,
  };
}
