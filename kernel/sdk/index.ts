// The door `#sdk`: small tools that plugins are built with.
export * from './agent-header.js';
export * from './chars.js';
export * from './chunks.js';
export * from './content.js';
export * from './conversation.js';
export * from './event-loop-lag.js';
export * from './expiring-set.js';
export * from './json.js';
export * from './keyed-runs.js';
export * from './memory.js';
export * from './milliseconds.js';
export * from './random-id.js';
export * from './raw-json.js';
export * from './reply-body.js';
export * from './status-of.js';
export * from './trace-context.js';
export * from './version.js';
