import type { PluginReport } from '#kernel';
import { tenths } from '#sdk';
import type { PluginView } from './docs.js';

/** Kinds of effects whose names are public. The name of any other is its author's free text and stays here. */
const fields: Readonly<Record<string, keyof PluginView['registered']>> = {
  route: 'routes',
  agent: 'agents',
  task: 'tasks',
  service: 'services',
  event: 'events',
};

/** A report without the cause of a failure, which may name paths and hosts and is in the log. */
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
  const registered = { ...Object.fromEntries(named), others } as PluginView['registered'];
  return {
    ...{ id, name, state, optional, registered, setupMs: tenths(setupMs) },
    ...(version !== undefined && { version }),
  };
}
