import type { Agent, TaskDefinition, ToolDefinition } from '#kernel';
import { jsonSchemaOf } from '#sdk';
import { isNamedBy, toolNameOf } from './tool-name.js';

/** A tool that this server runs. */
export interface ServerTool {
  /** As models get it. */
  readonly definition: ToolDefinition;
  /** As frames, logs and conversations have it. */
  readonly name: string;
  readonly kind: 'task' | 'consult' | 'handover';
  /** A person has to allow each call. */
  readonly asks: boolean;
}

/** The tools of one agent, by the names that models use. */
export class Toolbox {
  readonly #tools = new Map<string, ServerTool>();

  constructor(tools: Iterable<ServerTool>) {
    for (const tool of tools) this.#tools.set(tool.definition.name, tool);
  }

  get size(): number {
    return this.#tools.size;
  }

  get definitions(): readonly ToolDefinition[] {
    return [...this.#tools.values()].map(({ definition }) => definition);
  }

  /** `name`: as the model writes it. */
  find(name: string): ServerTool | undefined {
    return this.#tools.get(name);
  }

  /** The names that a model may use. */
  get names(): readonly string[] {
    return [...this.#tools.keys()];
  }
}

/** The tasks among `tasks` that models may call and `patterns` name. */
export function taskTools(
  tasks: Iterable<TaskDefinition>,
  patterns: readonly string[],
): readonly ServerTool[] {
  if (patterns.length === 0) return [];
  const tools: ServerTool[] = [];
  for (const task of tasks) if (task.tool && isNamedBy(patterns, task.name)) tools.push(taskTool(task));
  return tools;
}

function taskTool({ name, description, tool, input }: TaskDefinition): ServerTool {
  const settings = typeof tool === 'object' ? tool : {};
  // The version of the language is of no use to a model, and some servers refuse it.
  const { $schema: _, ...parameters } = (input && jsonSchemaOf(input)) ?? { type: 'object' };
  const text = settings.description ?? description;
  return {
    definition: { name: toolNameOf(name), ...(text && { description: text }), parameters },
    name,
    kind: 'task',
    asks: settings.approval === 'ask',
  };
}

/** The beginnings of names that no task may have: they are those of the tools that ask agents. */
const prefixes = { consult: 'consult_', handover: 'hand_over_to_' } as const;

/** Why a task cannot be a tool beside the others. */
export function whyNoTool(task: TaskDefinition, others: Iterable<TaskDefinition>): string | undefined {
  const name = toolNameOf(task.name);
  const prefix = Object.values(prefixes).find((each) => name.startsWith(each));
  if (prefix) return `models know it as "${name}", and "${prefix}…" is the name of tools that ask agents`;
  for (const other of others)
    if (other.tool && other.name !== task.name && toolNameOf(other.name) === name)
      return `models know it as "${name}", as they do "${other.name}"`;
  return undefined;
}

/** The two tools by which an agent gets at another one. */
export function agentTools({ name, description }: Agent): readonly ServerTool[] {
  const about = description ? `: ${description}` : '';
  return [
    agentTool(name, 'consult', `Ask the agent "${name}" and get its answer as the result${about}`, {
      question: { type: 'string', description: 'The whole question: the agent knows nothing else' },
    }),
    agentTool(
      name,
      'handover',
      `Hand the conversation over to the agent "${name}", who answers the user from now on${about}`,
      { note: { type: 'string', description: 'What the agent has to know besides the conversation' } },
    ),
  ];
}

function agentTool(
  agent: string,
  kind: 'consult' | 'handover',
  description: string,
  properties: Readonly<Record<string, object>>,
): ServerTool {
  const required = kind === 'consult' ? Object.keys(properties) : [];
  const name = toolNameOf(`${prefixes[kind]}${agent}`);
  const parameters = { type: 'object', properties, required, additionalProperties: false };
  return {
    definition: { name, description, parameters },
    name: `${prefixes[kind]}${agent}`,
    kind,
    asks: false,
  };
}

/** The agent that such a tool asks. */
export function agentOf({ name, kind }: ServerTool): string {
  return kind === 'task' ? '' : name.slice(prefixes[kind].length);
}
