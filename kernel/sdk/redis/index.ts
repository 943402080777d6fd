// The door `#sdk/redis`: the parts of plugins that stand on a Redis server.
export * from './config.js';
export * from './layout.js';
export * from './library.js';
export * from './preparation.js';
export * from './redis-connection.js';
export * from './redis-errors.js';
export * from './redis-link.js';
export * from './redis-script.js';
export * from './redis-url.js';
export * from './server-check.js';
