import { agents as known } from './server.js';
import { agents } from './state.js';

/** Reads who can answer. */
export async function lookAtAgents() {
  const found = await known().catch(() => undefined);
  if (found) agents.value = found;
}
