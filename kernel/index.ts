// The door `#kernel`: everything that a plugin is written with. `export *`, because declaration merging only follows star exports.
import 'reflect-metadata';

export * from './contracts/access.js';
export * from './contracts/agent.js';
export * from './contracts/bus.js';
export * from './contracts/chat.js';
export * from './contracts/chat-fields.js';
export * from './contracts/clients.js';
export * from './contracts/close-codes.js';
export * from './contracts/cluster.js';
export * from './contracts/effect.js';
export { httpStatus } from './contracts/error-codes.js';
export * from './contracts/frames.js';
export * from './contracts/overview.js';
export * from './contracts/plugin-context.js';
export * from './contracts/readable.js';
export * from './contracts/registry.js';
export * from './contracts/report.js';
export * from './contracts/shards.js';
export * from './contracts/store.js';
export * from './contracts/stream.js';
export * from './contracts/task.js';
export * from './contracts/transport.js';
export * from './contracts/usage.js';
export * from './errors.js';
export type { Logger } from './logger.js';
export * from './plugin.js';
export { createToken, type Registrations, type StartEffect, type Token } from './services.js';
