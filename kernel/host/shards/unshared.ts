import { basename } from 'node:path';
import type { Wanted } from '../../contracts/kernel-options.js';
import { ConversationStore } from '../../contracts/store.js';
import { ChatStreams } from '../../contracts/stream.js';
import { TaskEngine } from '../../contracts/task.js';
import type { Config } from '../config/read-config.js';

/** Services that several processes have to share, in words, each with a plugin that makes it possible. */
const mustBeShared = new Map<symbol, readonly [what: string, remedy: string]>([
  [ChatStreams, ['answers', 'streams-redis']],
  [TaskEngine, ['tasks', 'tasks-bullmq']],
  [ConversationStore, ['conversations', 'store-redis']],
]);

/** The issues of plugins that cannot be shared by `count` processes. */
export function unsharedIssues(
  count: number,
  plugins: readonly Wanted[],
  { sourceOf }: Pick<Config, 'sourceOf'>,
): readonly string[] {
  if (count < 2) return [];
  const { file, variable } = sourceOf(['server', 'shards']) ?? {};
  const place = variable ?? (file === undefined ? 'config' : basename(file));
  return plugins.flatMap(([plugin, options]) => {
    if (plugin.shared) return [];
    const id = options?.id ?? plugin.name;
    return (plugin.provides ?? []).flatMap((token: symbol) => {
      const [what, remedy] = mustBeShared.get(token) ?? [];
      if (!what) return [];
      return `${place}: server.shards: ${count} processes cannot share the ${what} of "${id}": use ${remedy} in its place, as config/cluster.yaml does, or one process`;
    });
  });
}
