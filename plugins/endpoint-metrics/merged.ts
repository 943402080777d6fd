import type { ShardAnswer } from '#kernel';

/** The metrics of all shards in one text: each metric once, with the series of all of them. */
export function merged(answers: readonly ShardAnswer[]): string {
  const heads = new Map<string, string>();
  const series = new Map<string, string[]>();
  const texts = answers.flatMap(({ body }) => (typeof body === 'string' ? [body] : []));
  for (const text of [...texts, presence(answers)])
    for (const block of text.split(/^(?=# HELP )/m)) {
      const [, head, name, rest = ''] = /^(# HELP (\S+).*\n# TYPE .*\n)([\s\S]*)$/.exec(block) ?? [];
      if (head === undefined || name === undefined) continue;
      if (!heads.has(name)) heads.set(name, head);
      series.set(name, [...(series.get(name) ?? []), rest.trim()]);
    }
  return [...heads]
    .map(([name, head]) => `${head}${(series.get(name) ?? []).filter(Boolean).join('\n')}\n`)
    .join('\n');
}

function presence(answers: readonly ShardAnswer[]): string {
  const lines = answers.map(
    ({ shard, body }) => `waggle_shard_up{shard="${shard}"} ${body === undefined ? 0 : 1}\n`,
  );
  return `# HELP waggle_shard_up Whether the figures of a shard are among these: 1 or 0\n# TYPE waggle_shard_up gauge\n${lines.join('')}`;
}
