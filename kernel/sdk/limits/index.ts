// The door `#sdk/limits`: limits of users, for the plugins that provide `Limits`.
export * from './config.js';
export * from './counted-limits.js';
