import { soundsLikeChat } from '#sdk/upstream';

/** A model as `/api/tags` lists it; older versions give no capabilities there. */
interface Installed {
  readonly name: string;
  readonly capabilities?: unknown;
  readonly details?: { readonly family?: unknown } | null;
}

/** Whether it answers: by its capabilities, else by the family of its weights, and by its name as a last resort. */
export function canChat({ name, capabilities, details }: Installed): boolean {
  if (Array.isArray(capabilities) && capabilities.length > 0) return capabilities.includes('completion');
  const { family } = details ?? {};
  return !(typeof family === 'string' && /bert|embed|clip/i.test(family)) && soundsLikeChat(name);
}
