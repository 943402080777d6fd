import { dialectConfig } from '#sdk/dialect';
import type { z } from '#zod';

/** Lines of JSON have no heartbeat, so headers always wait for the first line, as those of Ollama do. */
export const config = dialectConfig.pick({ replyTimeoutMs: true, bodyLimitBytes: true });

export type Config = z.infer<typeof config>;
