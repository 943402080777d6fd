import { WaggleError } from '#kernel';

const sentence = 'this is the Chat Completions API of OpenAI, not its Responses API';

/** Refuses a request for another API with one sentence instead of a list of issues. @throws INVALID_REQUEST */
export function checkShape(body: unknown): void {
  const { messages, input, prompt, tools } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (messages == null && input != null) refuse('input', `${sentence}: send \`messages\``);
  if (messages == null && prompt != null)
    refuse('prompt', 'only /v1/completions takes it: send `messages`, or ask there');
  for (const [place, tool] of (Array.isArray(tools) ? tools : []).entries())
    if (tool?.type === 'function' && tool.function == null && typeof tool.name === 'string')
      refuse(`tools.${place}`, `${sentence}: put name, description and parameters into \`function\``);
}

/** The same for `POST /v1/completions`. @throws INVALID_REQUEST */
export function checkTextShape(body: unknown): void {
  const { messages, prompt } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (prompt == null && messages != null)
    refuse('messages', 'only /v1/chat/completions takes them: send `prompt`, or ask there');
}

function refuse(field: string, what: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: ${what}`] });
}
