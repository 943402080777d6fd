import { WaggleError } from '#kernel';

/** Refuses a request for another API with one sentence instead of a list of issues. @throws INVALID_REQUEST */
export function checkShape(body: unknown): void {
  const { messages, input, prompt, tools } = (body ?? {}) as Readonly<Record<string, unknown>>;
  if (messages == null && (input != null || prompt != null))
    refuse(input == null ? 'prompt' : 'input', 'this is the Messages API of Anthropic: send `messages`');
  for (const [place, tool] of (Array.isArray(tools) ? tools : []).entries())
    if (tool?.type === 'function')
      refuse(
        `tools.${place}`,
        'this is the Messages API of Anthropic: put name, description and `input_schema` into the tool itself',
      );
}

function refuse(field: string, what: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: ${what}`] });
}
