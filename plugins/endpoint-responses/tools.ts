import { type ChatOptions, type ToolDefinition, WaggleError } from '#kernel';
import type { ResponseBody, Tool } from './body.js';
import { customInput } from './messages.js';

interface Tools extends Pick<ChatOptions, 'tools' | 'toolChoice'> {
  /** Names of tools whose input is text. */
  readonly custom: ReadonlySet<string>;
  readonly leftOut: readonly string[];
}

/** The tools of a request. Hosted tools are not offered: they are left out where the model can do without. @throws INVALID_REQUEST */
export function toolsOf({ tools: listed, tool_choice: choice }: ResponseBody): Tools {
  const all = listed ?? [];
  const hosted = all.flatMap((each, place) => (isOwn(each) ? [] : [{ place, type: each.type }]));
  const own = all.filter(isOwn);
  const [first] = hosted;
  if (first && (own.length === 0 || choice === 'required'))
    refuse(
      `tools.${first.place}.type`,
      `the hosted tool "${first.type}" is not offered here; send functions`,
    );
  const { toolChoice, allowed } = choiceOf(choice, all);
  const given = own.map(definitionOf);
  const tools = allowed ? given.filter(({ name }) => allowed.has(name)) : given;
  const named = typeof toolChoice === 'object' ? toolChoice.name : undefined;
  if (named !== undefined && !tools.some(({ name }) => name === named))
    refuse('tool_choice', `there is no tool ${JSON.stringify(named)}`);
  if (toolChoice === 'required' && tools.length === 0)
    refuse('tool_choice', 'a tool is to be called, and there is none');
  return {
    ...(listed && { tools }),
    toolChoice,
    custom: new Set(own.filter(({ type }) => type === 'custom').map(({ name }) => name as string)),
    leftOut: hosted.map(({ place, type }) => `tools[${place}], the hosted tool "${type.slice(0, 60)}"`),
  };
}

function isOwn({ type, name }: Tool): boolean {
  if (type !== 'function' && type !== 'custom') return false;
  if (name === undefined) refuse('tools', 'each function needs a `name`, beside `type`');
  return true;
}

function definitionOf({ type, name, description, parameters, strict, format }: Tool): ToolDefinition {
  const isCustom = type === 'custom';
  const grammar = isCustom && format ? `\n\nFormat of the input: ${JSON.stringify(format)}` : '';
  const text = `${description ?? ''}${grammar}`.trim();
  return {
    name: name as string,
    description: text === '' ? undefined : text,
    parameters: isCustom ? textInput : (parameters ?? undefined),
    ...(strict != null && { strict }),
  };
}

/** Models behind agents call functions only: a custom tool is one with a single text. */
const textInput = {
  type: 'object',
  properties: { [customInput]: { type: 'string' } },
  required: [customInput],
  additionalProperties: false,
};

function choiceOf(
  choice: ResponseBody['tool_choice'],
  tools: readonly Tool[],
): { readonly toolChoice: ChatOptions['toolChoice']; readonly allowed?: ReadonlySet<string> } {
  if (!choice) return { toolChoice: undefined };
  if (typeof choice === 'string') return { toolChoice: choice };
  if (choice.type === 'allowed_tools') {
    const { mode, tools: names } = choice as unknown as Allowed;
    return { toolChoice: mode, allowed: new Set(names.map(({ name }) => name ?? '')) };
  }
  if (typeof choice.name === 'string') return { toolChoice: { name: choice.name } };
  const isHosted = tools.some(({ type }) => type === choice.type);
  return refuse(
    'tool_choice',
    isHosted ? `the hosted tool "${choice.type}" is not offered here` : `there is no tool "${choice.type}"`,
  );
}

interface Allowed {
  readonly mode: 'auto' | 'required' | 'none';
  readonly tools: readonly { readonly name?: string }[];
}

function refuse(field: string, what: string): never {
  throw new WaggleError('INVALID_REQUEST', { issues: [`${field}: ${what}`] });
}
