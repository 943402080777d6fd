import 'reflect-metadata';

// `export *`, not named re-exports: declaration merging into this module only follows star exports.
export * from './bus.js';
export * from './check.js';
export * from './contracts/agent.js';
export * from './contracts/chat.js';
export * from './contracts/chat-fields.js';
export * from './contracts/close-codes.js';
export * from './contracts/frames.js';
export * from './contracts/http-status.js';
export * from './contracts/overview.js';
export * from './contracts/readable.js';
export * from './contracts/store.js';
export * from './contracts/stream.js';
export * from './contracts/task.js';
export * from './contracts/transport.js';
export * from './contracts/usage.js';
export * from './duration.js';
export * from './errors.js';
export * from './every.js';
export { jsonSchemaOf } from './json-schema.js';
export * from './kernel.js';
export * from './logger.js';
export * from './plugin.js';
export * from './registry.js';
export * from './scope.js';
export * from './services.js';
