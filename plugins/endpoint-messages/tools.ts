import type { ChatOptions, ToolDefinition } from '#kernel';
import { checkToolChoice } from '#sdk/dialect';
import type { CountBody } from './body.js';

interface Tools extends Pick<ChatOptions, 'tools' | 'toolChoice' | 'parallelToolCalls'> {
  /** Descriptions of tools that are not passed on because of their type. */
  readonly leftOut: readonly string[];
}

type Tool = NonNullable<CountBody['tools']>[number];
type Custom = Extract<Tool, { name: string }>;

/** @throws INVALID_REQUEST for a choice that is not among the tools */
export function toolsOf({ tools: given, tool_choice: choice }: CountBody): Tools {
  const listed = given ?? [];
  const tools = listed.filter(isCustom).map(definitionOf);
  const leftOut = listed.flatMap((tool, place) =>
    isCustom(tool) ? [] : `tools[${place}] of the kind ${JSON.stringify(tool.type).slice(0, 60)}`,
  );
  const toolChoice = choiceOf(choice);
  checkToolChoice('tool_choice', { tools, toolChoice });
  return {
    ...(given ? { tools } : {}),
    toolChoice,
    parallelToolCalls: choice?.disable_parallel_tool_use ? false : undefined,
    leftOut,
  };
}

function isCustom(tool: Tool): tool is Custom {
  return (tool.type ?? 'custom') === 'custom';
}

function definitionOf({ name, description, input_schema: parameters, strict }: Custom): ToolDefinition {
  return {
    name,
    description: description ?? undefined,
    parameters: parameters ?? undefined,
    ...(strict != null && { strict }),
  };
}

function choiceOf(choice: CountBody['tool_choice']): ChatOptions['toolChoice'] {
  if (choice?.type === 'tool') return { name: choice.name };
  return choice?.type === 'any' ? 'required' : choice?.type;
}
