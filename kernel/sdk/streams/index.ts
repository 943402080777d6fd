// The door `#sdk/streams`: replies that run in this process, for the plugins that provide `ChatStreams`.
export * from './config.js';
export * from './keyed-starts.js';
export * from './local-reply.js';
export * from './local-streams.js';
export * from './log-codec.js';
export * from './log-waker.js';
export * from './reply-log.js';
export * from './shared-turn.js';
export * from './whole-reply.js';
