import { afterEach } from 'vitest';
import { type ChatMessage, ConversationStore, type PluginContext, type TaskDefinition } from '#kernel';
import { type Hive, type HiveOptions, startHive } from './hive.js';
import { plugin } from './kernel.js';
import type { ScriptedModel } from './scripted-model.js';
import { type Frame, WsClient } from './ws-client.js';

/** A server whose chat agent has tools, with scripted models; it ends with the test. */
export class ToolHive {
  hive!: Hive;
  readonly #clients: WsClient[] = [];

  constructor() {
    afterEach(() => this.close());
  }

  /** The first model is the candidate. */
  async start(
    models: readonly ScriptedModel[],
    // biome-ignore lint/suspicious/noExplicitAny: tasks of all inputs
    tasks: readonly TaskDefinition<any, any>[] = [],
    queen: object = {},
    more: HiveOptions = {},
  ): Promise<Hive> {
    const third = plugin('third', {
      setup(ctx: PluginContext) {
        for (const task of tasks) ctx.registerTask(task);
        for (const model of models) ctx.addAgent(model);
      },
    });
    const settings = { candidates: [models[0]?.name], tools: ['*'], ...queen };
    this.hive = await startHive({
      ...more,
      config: { ...more.config, 'agent-queen': settings },
      plugins: [...(more.plugins ?? []), third],
    });
    return this.hive;
  }

  async client(id = 'ann'): Promise<WsClient> {
    const client = await WsClient.connect(`${this.hive.ws}/${id}`);
    this.#clients.push(client);
    return client;
  }

  /** The frames of one request over a connection of its own. */
  async ask(frame: object = {}): Promise<readonly Frame[]> {
    const client = await this.client();
    const frames = await client.ask({ content: 'Hi', conversationId: 'k', ...frame });
    await client.close();
    return frames;
  }

  stored(conversationId = 'k', userId = 'ann'): Promise<readonly ChatMessage[]> {
    return this.hive.kernel.get(ConversationStore).read({ userId, conversationId });
  }

  async close(): Promise<void> {
    for (const each of this.#clients.splice(0)) await each.close();
    await this.hive?.close();
  }
}

/** The types of frames, with what tells them apart. */
export function outline(frames: readonly Frame[]): readonly string[] {
  return frames.map(({ type, content, name, agent, via, state, allow, error, code }) => {
    const short = type.replace('streaming_', '');
    const { code: failure = undefined } = (error ?? {}) as { readonly code?: string };
    return [
      short,
      content,
      name,
      type === 'streaming_agent' ? `${agent} ${via} ${state}` : undefined,
      allow,
      failure,
      code,
    ]
      .filter((each) => each !== undefined)
      .join(' ');
  });
}
