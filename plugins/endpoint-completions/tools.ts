import type { ChatOptions, ToolDefinition } from '#kernel';
import { checkToolChoice } from '#sdk/dialect';
import type { ChatBody } from './body.js';

interface Tools extends Pick<ChatOptions, 'tools' | 'toolChoice'> {
  /** Descriptions of tools that are not passed on because of their type. */
  readonly leftOut: readonly string[];
}

type Tool = NonNullable<ChatBody['tools']>[number];
type Definition = NonNullable<ChatBody['functions']>[number];

/** @throws INVALID_REQUEST for a choice that is not among the tools */
export function toolsOf(body: ChatBody): Tools {
  const listed = body.tools ?? [];
  const functions = listed.flatMap((each) => functionIn(each) ?? []).concat(body.functions ?? []);
  const leftOut = listed.flatMap((each, place) =>
    functionIn(each) ? [] : `tools[${place}] of the kind ${JSON.stringify(each.type).slice(0, 60)}`,
  );
  const given = functions.map(definitionOf);
  const { choice, allowed } = choiceOf(body);
  const tools = allowed ? given.filter(({ name }) => allowed.has(name)) : given;
  checkToolChoice(body.tool_choice ? 'tool_choice' : 'function_call', { tools, toolChoice: choice });
  return { ...(body.tools || body.functions ? { tools } : {}), toolChoice: choice, leftOut };
}

function functionIn(each: Tool): Definition | undefined {
  return 'function' in each && (each.type ?? 'function') === 'function'
    ? (each.function as Definition)
    : undefined;
}

function definitionOf({ name, description, parameters, strict }: Definition): ToolDefinition {
  return {
    name,
    description: description ?? undefined,
    parameters: parameters ?? undefined,
    ...(strict != null && { strict }),
  };
}

type Choice = ChatOptions['toolChoice'];

function choiceOf(body: ChatBody): { readonly choice: Choice; readonly allowed?: ReadonlySet<string> } {
  const choice = body.tool_choice || body.function_call;
  if (!choice) return { choice: undefined };
  if (typeof choice === 'string') return { choice: choice === 'any' ? 'required' : choice };
  if ('allowed_tools' in choice) {
    const { mode, tools } = choice.allowed_tools as { mode: 'auto' | 'required'; tools: readonly unknown[] };
    return { choice: mode, allowed: new Set(tools.map(nameIn)) };
  }
  return { choice: { name: nameIn(choice) } };
}

function nameIn(choice: unknown): string {
  const { function: called, name } = choice as {
    readonly function?: { readonly name: string };
    readonly name?: string;
  };
  return called?.name ?? name ?? '';
}
