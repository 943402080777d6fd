import type { PluginReport, PluginState } from '#kernel';

/** The registrations of one plugin, by kind. */
export interface Registrations {
  readonly routes: readonly string[];
  readonly agents: readonly string[];
  readonly tasks: readonly string[];
  readonly services: readonly string[];
  readonly events: readonly string[];
  /** The number of other effects: timers, sockets, hooks. */
  readonly others: number;
}

/** A plugin without anything that is only for operators. */
export interface PluginView {
  readonly id: string;
  readonly name: string;
  readonly version?: string;
  readonly state: PluginState;
  readonly optional: boolean;
  readonly setupMs: number;
  readonly registered: Registrations;
}

/** Kinds of effects whose names are public. The name of any other is its author's free text and stays here. */
const fields: Readonly<Record<string, keyof Registrations>> = {
  route: 'routes',
  agent: 'agents',
  task: 'tasks',
  service: 'services',
  event: 'events',
};

/** Leaves out why it failed: that may name paths and hosts, and is in the log. */
export function viewOf({
  id,
  name,
  version,
  state,
  optional,
  setupMs,
  registrations,
}: PluginReport): PluginView {
  const namesOf = (kind: string) => [
    ...new Set(registrations.filter((each) => each.kind === kind).map((each) => each.name)),
  ];
  const named = Object.entries(fields).map(([kind, field]) => [field, namesOf(kind)]);
  const others = registrations.filter(({ kind }) => !Object.hasOwn(fields, kind)).length;
  const registered = { ...Object.fromEntries(named), others } as Registrations;
  return {
    ...{ id, name, state, optional, registered, setupMs: Math.round(setupMs * 10) / 10 },
    ...(version !== undefined && { version }),
  };
}
