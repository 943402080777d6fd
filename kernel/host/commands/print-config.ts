import { basename } from 'node:path';
import { Document, isScalar, isSeq, isMap as isYamlMap, type Node as YamlNode } from 'yaml';
import type { Path } from '../../check.js';
import { checkConfig, createInstance } from '../../instance.js';
import { jsonSchemaOf, type Node, nodeAt } from '../../json-schema.js';
import type { Logger } from '../../logger.js';
import type { LoadedConfig } from '../config/load-config.js';
import { configFile, type PluginEntry } from '../config/read-config.js';
import { importEntry } from '../loader/import-plugin.js';
import { entriesOf } from '../loader/load-plugins.js';

const secretKey = /password|passphrase|secret|token|key|authorization|cookie|credential|^env$|^headers$/i;
/** The user and the password in a URL. */
const userInfo = /(\w:\/\/)[^/\s]+@/g;
const hidden = '(hidden)';

/** One value of a config, with the schema of what it stands in. */
interface Part {
  readonly path: Path;
  readonly schema: Node | undefined;
  /** The number of keys above that schema. */
  readonly depth: number;
}

/** A checked config as YAML, each value with the place where it was set, and without secrets. */
export async function printedConfig(config: LoadedConfig, logger: Logger): Promise<string> {
  const { server, extensions } = config;
  const plugins: Record<string, unknown> = {};
  const schemas = new Map<string, Node | undefined>();
  const { entries } = entriesOf(config, []);
  const ids = new Set([...config.plugins, ...entries].map(({ id }) => id));
  for (const id of ids) {
    const entry = entries.find((each) => each.id === id);
    if (entry) {
      const { schema, checked } = await checkedOf(entry, config, logger);
      schemas.set(id, schema);
      plugins[id] = { ...keysOf(entry), ...(checked !== undefined && { config: checked }) };
    } else {
      const off = config.plugins.find((each) => each.id === id) as PluginEntry;
      plugins[id] = { ...keysOf(off), ...(off.config && { config: off.config }) };
    }
  }
  const document = new Document({ server, ...(extensions && { extensions: extensions.folder }), plugins });
  const whole = { path: [], schema: jsonSchemaOf(configFile) as Node, depth: 0 };
  const partOf = (path: Path): Part => {
    const isConfig = path[0] === 'plugins' && path[2] === 'config';
    return isConfig ? { path, schema: schemas.get(String(path[1])), depth: 3 } : { ...whole, path };
  };
  annotate(document.contents as YamlNode, [], (path, value) => {
    const source = sourceText(config, path);
    return { comment: ` ${source}`, value: isHidden(config, partOf(path), value) ? hidden : shown(value) };
  });
  return `${layersText(config)}${document.toString({ lineWidth: 0 })}`;
}

function keysOf({ use, fallback, optional, enabled }: PluginEntry): object {
  return {
    ...(use !== undefined && { use }),
    ...(fallback !== undefined && { fallback }),
    ...(optional && { optional }),
    ...(!enabled && { enabled }),
  };
}

async function checkedOf(entry: PluginEntry, config: LoadedConfig, logger: Logger) {
  const { plugin, options } = await importEntry(entry, config, logger);
  const instance = createInstance(plugin, options);
  await checkConfig(instance);
  const schema = plugin.config && (jsonSchemaOf(plugin.config) as Node | undefined);
  return { schema, checked: instance.config };
}

interface Annotation {
  readonly comment: string;
  readonly value: unknown;
}

/** Comments each scalar and each list without maps, and replaces values. */
function annotate(node: YamlNode, path: Path, of: (path: Path, value: unknown) => Annotation): void {
  if (isScalar(node)) Object.assign(node, of(path, node.value));
  else if (isYamlMap(node))
    for (const { key, value } of node.items)
      annotate(value as YamlNode, [...path, String((key as { readonly value: unknown }).value)], of);
  else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) annotate(item as YamlNode, [...path, index], of);
    if (holdsMap(node)) return;
    for (const item of node.items) (item as YamlNode).comment = null;
    node.flow = true;
    node.comment = of(path, undefined).comment;
  }
}

function holdsMap(node: unknown): boolean {
  return isYamlMap(node) || (isSeq(node) && node.items.some(holdsMap));
}

/** Numbers, booleans and choices are no secrets, whatever they are called and wherever they come from. */
function isHidden(config: LoadedConfig, { path, schema, depth }: Part, value: unknown): boolean {
  if (typeof value !== 'string' || value === '') return false;
  const within = path.slice(depth);
  if (schema && nodeAt(schema, within)?.enum?.includes(value)) return false;
  if (config.sourceOf(path)?.variable !== undefined) return true;
  return depth > 0 && within.some((key) => secretKey.test(String(key)));
}

function shown(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(userInfo, `$1${hidden}@`) : value;
}

function sourceText({ sourceOf, environment: { file } }: LoadedConfig, path: Path): string {
  const source = sourceOf(path);
  if (!source) return 'default';
  const { variable, line } = source;
  if (variable !== undefined) return file?.names.has(variable) ? `${variable} in .env` : variable;
  return line === undefined ? basename(source.file) : `${basename(source.file)}:${line}`;
}

function layersText({ files, environment: { file } }: LoadedConfig): string {
  const layers = [...files, ...(file ? [file.path] : []), 'environment variables'];
  return `${layers.map((layer) => `# ${layer}\n`).join('')}\n`;
}
