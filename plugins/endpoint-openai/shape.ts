import { WaggleError } from '#kernel';

const sentence = 'this is the Chat Completions API of OpenAI; the Responses API is not spoken here';

/** A request in the shape of another API gets one sentence in place of a list of mistakes. @throws INVALID_REQUEST */
export function checkShape(body: unknown): void {
  const { messages, input, tools } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (messages == null && input != null) refuse('input', 'send `messages`');
  for (const [place, tool] of (Array.isArray(tools) ? tools : []).entries())
    if (tool?.type === 'function' && tool.function == null && typeof tool.name === 'string')
      refuse(`tools.${place}`, 'put name, description and parameters into `function`');
}

function refuse(field: string, advice: string): never {
  throw new WaggleError('INVALID_REQUEST', { mistakes: [`${field}: ${sentence}: ${advice}`] });
}
