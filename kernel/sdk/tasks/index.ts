// The door `#sdk/tasks`: tasks that run in this process, for the plugins that provide `TaskEngine`.
export * from './asked.js';
export * from './config.js';
export * from './engine.js';
export * from './lanes.js';
export type * from './run.js';
export * from './update-log.js';
