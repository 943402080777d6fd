import { describe, expect, it } from 'vitest';
import { ChatStreams, ConversationStore, Overview, type Plugin, TaskEngine } from '#kernel';
import { unsharedIssues } from '../../../../kernel/host/shards/unshared.js';
import redisStore from '../../../../plugins/store-redis/index.js';
import redisStreams from '../../../../plugins/streams-redis/index.js';
import bullTasks from '../../../../plugins/tasks-bullmq/index.js';

const config = { sourceOf: () => ({ file: '/etc/my.yaml' }) };
const plugin = (more: Partial<Plugin>): Plugin => ({ name: 'mine', apiVersion: 1, setup() {}, ...more });

describe('plugins of several processes', () => {
  it.each([
    [ChatStreams, 'answers', 'streams-redis'],
    [TaskEngine, 'tasks', 'tasks-bullmq'],
    [ConversationStore, 'conversations', 'store-redis'],
  ])('that provide %s must say that it is shared', (token, what, remedy) => {
    const own = plugin({ provides: [token] });
    expect(unsharedIssues(2, [[own, { id: 'here' }]], config)).toEqual([
      `my.yaml: server.shards: 2 processes cannot share the ${what} of "here": use ${remedy} in its place, as config/cluster.yaml does, or one process`,
    ]);
    expect(unsharedIssues(1, [[own]], config)).toEqual([]);
    expect(unsharedIssues(2, [[{ ...own, shared: true }]], config)).toEqual([]);
  });

  it('may keep anything else to themselves, and those on Redis share', () => {
    const others = [plugin({}), plugin({ provides: [Overview] }), redisStore, redisStreams, bullTasks];
    expect(
      unsharedIssues(
        64,
        others.map((each) => [each] as const),
        config,
      ),
    ).toEqual([]);
  });

  it('are named with the variable, or where there is neither', () => {
    const store = [[plugin({ provides: [ConversationStore] })]] as const;
    const placeIn = (source: object | undefined) =>
      unsharedIssues(2, store, { sourceOf: () => source as never })[0]?.split(':')[0];
    expect(placeIn({ file: 'x', variable: 'WAGGLE__server__shards' })).toBe('WAGGLE__server__shards');
    expect(placeIn(undefined)).toBe('config');
  });
});
