import type { Tool } from '@modelcontextprotocol/client';
import { type Logger, messageOf, type TaskCall, type TaskDefinition, type Undo } from '#kernel';
import type { ServerConfig } from './config.js';
import type { Packages } from './packages.js';
import type { Secrets } from './secrets.js';
import { type ToolArguments, toolInput } from './tool-input.js';
import { isChosen, taskName } from './tool-name.js';
import type { Listing } from './tool-pages.js';

/** Settings of all tasks of a server. */
export interface TaskSettings extends Pick<ServerConfig, 'tools' | 'approval'> {
  readonly server: string;
  readonly packages: Packages;
  readonly secrets: Secrets;
  readonly logger: Logger;
  readonly callTimeoutMs: number;
  readonly descriptionLimitChars: number;
  readonly schemaLimitChars: number;
  register(definition: TaskDefinition<ToolArguments>): Undo;
  run(task: string, tool: Tool, args: ToolArguments, call: TaskCall): Promise<unknown>;
}

interface Registered {
  readonly fingerprint: string;
  readonly undo: Undo;
}

/** The tasks of one server, as its list of tools changes. A tool that stays as it was keeps its task, and the task its runs. */
export class ToolTasks {
  readonly #settings: TaskSettings;
  readonly #registered = new Map<string, Registered>();
  #last: Promise<void> = Promise.resolve();
  #leftOut = '';

  constructor(settings: TaskSettings) {
    this.#settings = settings;
  }

  /** Registers and undoes tasks until they are those of the list. */
  sync(listing: Listing): Promise<void> {
    this.#last = this.#last.then(
      () => this.#sync(listing),
      () => this.#sync(listing),
    );
    return this.#last;
  }

  async #sync({ tools, invalid, isCut }: Listing): Promise<void> {
    const leftOut = invalid.map((name) => `${name}: it is no tool`);
    if (isCut) leftOut.push('more than the limit "maxTools"');
    const wanted = this.#wanted(tools, leftOut);
    for (const [name, { fingerprint, undo }] of [...this.#registered]) {
      const tool = wanted.get(name);
      if (tool && fingerprint === JSON.stringify(tool)) continue;
      this.#registered.delete(name);
      await undo();
    }
    for (const [name, tool] of wanted) if (!this.#registered.has(name)) this.#register(name, tool, leftOut);
    this.#warn(leftOut);
  }

  /** The tools to be had, by the names of their tasks. */
  #wanted(tools: readonly Tool[], leftOut: string[]): ReadonlyMap<string, Tool> {
    const { server, tools: patterns, schemaLimitChars } = this.#settings;
    const wanted = new Map<string, Tool>();
    for (const tool of tools) {
      if (!isChosen(patterns, tool.name)) continue;
      const name = taskName(server, tool.name);
      const why =
        name === undefined
          ? 'its name is too long'
          : wanted.has(name)
            ? `"${wanted.get(name)?.name}" has the same name as a task`
            : JSON.stringify(tool.inputSchema).length > schemaLimitChars
              ? 'its schema is longer than "schemaLimitChars"'
              : undefined;
      if (why === undefined) wanted.set(name as string, tool);
      else leftOut.push(`${tool.name.slice(0, 128)}: ${why}`);
    }
    return wanted;
  }

  #register(name: string, tool: Tool, leftOut: string[]): void {
    const { packages, approval, callTimeoutMs, register, run } = this.#settings;
    try {
      const description = this.#descriptionOf(tool);
      const undo = register({
        name,
        ...(description && { description }),
        lane: 'main',
        tool: approval === undefined ? true : { approval },
        input: toolInput(tool.inputSchema, new packages.ajv.AjvJsonSchemaValidator()),
        timeoutMs: callTimeoutMs,
        run: (args, call) => run(name, tool, args, call),
      });
      this.#registered.set(name, { fingerprint: JSON.stringify(tool), undo });
    } catch (error) {
      leftOut.push(`${tool.name}: ${messageOf(error)}`);
    }
  }

  #descriptionOf({ description = '', title, annotations }: Tool): string {
    const text = description.trim() || title || annotations?.title || '';
    return text.slice(0, this.#settings.descriptionLimitChars);
  }

  /** Once for the same ones: each connection lists them again. */
  #warn(leftOut: readonly string[]): void {
    const { secrets, logger } = this.#settings;
    const shown = leftOut.slice(0, 20).map((each) => secrets.hide(each));
    if (leftOut.length > shown.length) shown.push(`${leftOut.length - shown.length} more`);
    const text = shown.join('\n');
    if (text !== this.#leftOut && text !== '')
      logger.warn({ tools: shown }, 'tools of the MCP server are left out');
    this.#leftOut = text;
  }
}
