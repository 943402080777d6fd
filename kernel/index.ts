import 'reflect-metadata';

// `export *`, not named re-exports: declaration merging into this module only follows star exports.
export * from './bus.js';
export * from './config/schema.js';
export * from './contracts/agent.js';
export * from './contracts/chat.js';
export * from './contracts/chat-fields.js';
export * from './contracts/frames.js';
export * from './contracts/http/base-transport.js';
export * from './contracts/http/config.js';
export * from './contracts/http/connection.js';
export * from './contracts/http/reply.js';
export * from './contracts/http/request.js';
export * from './contracts/overview.js';
export * from './contracts/store.js';
export * from './contracts/stream.js';
export * from './contracts/task.js';
export * from './contracts/transport.js';
export * from './errors.js';
export * from './json.js';
export * from './kernel.js';
export * from './logger.js';
export * from './plugin.js';
export * from './registry.js';
export * from './retention.js';
export * from './scope.js';
export * from './services.js';
export * from './version.js';
