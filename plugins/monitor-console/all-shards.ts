import type { ShardAnswer } from '#kernel';
import { sumFigures } from '#sdk';
import type { Stats } from './docs.js';

/** The stats of all shards as those of one server, and those of each. `own` are those of the shard that is asked. */
export function statsOfAll(answers: readonly ShardAnswer[], own: Stats): Stats {
  const given = answers.flatMap(({ body }) => (body ? [body as Stats] : []));
  const [first = own, ...others] = given;
  return {
    ...sumFigures([first, ...others]),
    shards: answers.map(({ shard, body }) => ({ shard, ...(body ? { stats: body as Stats } : {}) })),
  };
}
