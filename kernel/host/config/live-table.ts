import { jsonSchemaOf } from '../../json-schema.js';
import type { Configurable } from './editor-schema.js';

/** Kinds of plugins that are replaced by a run beside the former one. */
const replaced = /^(agent|access)-/;

/** Markdown table: how each plugin takes a change of its config while the server runs. */
export function liveTable(plugins: readonly Configurable[]): string {
  const rows = plugins.flatMap(({ name, config, live = [] }) => {
    if (name === 'server') return [];
    const { properties = {} } = (config ? jsonSchemaOf(config) : {}) as Described;
    const restarting = Object.keys(properties).filter((key) => live !== true && !live.includes(key));
    const all = Object.keys(properties).length;
    if (all === 0) return [];
    const rest = restarting.map((key) => `\`${key}\``).join(', ');
    const otherwise = replaced.test(name) ? 'is replaced' : 'restarts';
    if (restarting.length === 0) return [[name, 'all', '']];
    if (restarting.length === all) return [[name, '', `all: it ${otherwise}`]];
    const isMost = restarting.length > all / 2;
    const alive = Object.keys(properties).filter((key) => !restarting.includes(key));
    const taken = alive.map((key) => `\`${key}\``).join(', ');
    return [
      isMost
        ? [name, taken, `the others: it ${otherwise}`]
        : [name, 'the others', `${rest}: it ${otherwise}`],
    ];
  });
  const lines = rows.map((row) => `| ${row.join(' | ')} |`);
  return ['| plugin | keys taken at once | other keys |', '|---|---|---|', ...lines].join('\n');
}

interface Described {
  readonly properties?: Readonly<Record<string, unknown>>;
}
