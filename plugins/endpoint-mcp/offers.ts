import type { Agent, Logger, ReadonlyRegistry, TaskDefinition } from '#kernel';
import { jsonSchemaOf } from '#sdk';

type JsonSchema = Readonly<Record<string, unknown>>;

/** A tool as clients see it, and the work behind it. */
export interface Offer {
  readonly name: string;
  readonly description?: string | undefined;
  readonly inputSchema: JsonSchema;
  readonly work:
    | { readonly kind: 'task'; readonly task: string }
    | { readonly kind: 'agent'; readonly agent: string };
}

const nameLimitChars = 64;
/** Names that a warning was given for; a server with more of them has said enough. */
const maxWarnings = 1000;

const question: JsonSchema = {
  type: 'object',
  properties: {
    question: { type: 'string', minLength: 1, description: 'The question, with all that it needs' },
  },
  required: ['question'],
  additionalProperties: false,
};

/** The tools of the moment: tasks that are exposed and tools, and agents of the config. */
export class Offers {
  readonly #tasks: ReadonlyRegistry<TaskDefinition>;
  readonly #agents: ReadonlyRegistry<Agent>;
  readonly #asked: readonly string[];
  readonly #logger: Logger;
  readonly #warned = new Set<string>();

  constructor(
    tasks: ReadonlyRegistry<TaskDefinition>,
    agents: ReadonlyRegistry<Agent>,
    asked: readonly string[],
    logger: Logger,
  ) {
    this.#tasks = tasks;
    this.#agents = agents;
    this.#asked = asked;
    this.#logger = logger;
  }

  /** By their names. Of two with one name the first counts: agents, then tasks as they were registered. */
  list(): ReadonlyMap<string, Offer> {
    const offers = new Map<string, Offer>();
    const add = (source: string, offer: Offer) => {
      const { name } = offer;
      const why =
        name.length > nameLimitChars
          ? `its name is longer than ${nameLimitChars} characters`
          : offers.has(name) && `another tool is called "${name}"`;
      if (why) this.#warn(source, why);
      else offers.set(name, offer);
    };
    for (const agent of new Set(this.#asked)) {
      const found = this.#agents.find(agent);
      if (!found) continue;
      const { description = `Asks the agent ${agent}` } = found;
      const work = { kind: 'agent', agent } as const;
      add(agent, { name: `ask_${plain(agent)}`, description, inputSchema: question, work });
    }
    for (const task of this.#tasks) {
      if (!isOffered(task)) continue;
      const { name, input, tool } = task;
      const inputSchema = input && jsonSchemaOf(input);
      if (!inputSchema) continue;
      const description = (typeof tool === 'object' ? tool.description : undefined) ?? task.description;
      add(name, { name: plain(name), description, inputSchema, work: { kind: 'task', task: name } });
    }
    return offers;
  }

  #warn(source: string, why: string): void {
    if (this.#warned.has(source) || this.#warned.size >= maxWarnings) return;
    this.#warned.add(source);
    this.#logger.warn({ tool: source, why }, 'a tool is not offered to MCP clients');
  }
}

/** Whether clients may run a task as a tool. No person could allow a call that has to be allowed. */
export function isOffered({ exposed, tool }: TaskDefinition): boolean {
  return exposed === true && !!tool && !(typeof tool === 'object' && tool.approval === 'ask');
}

function plain(name: string): string {
  return name.replace(/[^A-Za-z\d_-]/gu, '_');
}
