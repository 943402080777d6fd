// The door `#sdk/streams`: replies that run in this process, for the plugins that provide `ChatStreams`.
export * from './config.js';
export * from './local-streams.js';
