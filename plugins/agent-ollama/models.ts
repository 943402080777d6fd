import { soundsLikeChat } from '#sdk/upstream';

/** A model as in `/api/tags`; older versions list no capabilities. */
interface Installed {
  readonly name: string;
  readonly capabilities?: unknown;
  readonly details?: { readonly family?: unknown } | null;
}

/** Whether a model can chat: by its capabilities, else by its family, else by its name. */
export function canChat({ name, capabilities, details }: Installed): boolean {
  if (Array.isArray(capabilities) && capabilities.length > 0) return capabilities.includes('completion');
  const { family } = details ?? {};
  return !(typeof family === 'string' && /bert|embed|clip/i.test(family)) && soundsLikeChat(name);
}
