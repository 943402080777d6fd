import type { PluginReport, PluginState } from '#kernel';

/** What a plugin has brought, by kind. */
export interface Registrations {
  readonly routes: readonly string[];
  readonly agents: readonly string[];
  readonly tasks: readonly string[];
  readonly services: readonly string[];
  readonly events: readonly string[];
  /** How many things of other kinds: timers, sockets, hooks. */
  readonly others: number;
}

/** A plugin, as everybody may see it. */
export interface PluginView {
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly state: PluginState;
  readonly optional: boolean;
  readonly setupMs: number;
  readonly registered: Registrations;
}

/** The labels that the kernel and the built-in plugins give. Any other is its author's free text and stays here. */
const kinds = {
  routes: /^((?:GET|POST|PUT|PATCH|DELETE|WS) \/[\w{}./~-]*)$/,
  agents: /^agent ([\w.:-]+)$/,
  tasks: /^task ([\w.:-]+)$/,
  services: /^provide ([\w.:-]+)$/,
  events: /^on ([\w:-]+)$/,
} as const;

/** Without why it failed: that may name paths and hosts, and is in the log. */
export function viewOf({ id, name, version, state, optional, setupMs, effects }: PluginReport): PluginView {
  const found = Object.entries(kinds).map(([kind, label]) => [
    kind,
    [...new Set(effects.flatMap((effect) => label.exec(effect)?.[1] ?? []))],
  ]);
  const others = effects.filter((effect) => !Object.values(kinds).some((label) => label.test(effect))).length;
  const registered = { ...Object.fromEntries(found), others } as Registrations;
  return {
    ...{ id, name, state, optional, registered, setupMs: Math.round(setupMs * 10) / 10 },
    ...(version !== undefined && { version }),
  };
}
