import { dialectConfig } from '#sdk/dialect';

export const config = dialectConfig.pick({ replyTimeoutMs: true, bodyLimitBytes: true });
