import 'reflect-metadata';

// The door `waggle-server/testing`: the suites that every implementation of a contract is held to, in a test of Vitest.
export { type AgentSubject, agentContract } from '../contracts/agent.contract.js';
export {
  chatStreamsContract,
  type StreamLimits,
  type StreamsSubject,
} from '../contracts/chat-streams.contract.js';
export { conversationStoreContract, type StoreLimits } from '../contracts/conversation-store.contract.js';
export {
  type EngineLimits,
  type EngineSubject,
  taskEngineContract,
} from '../contracts/task-engine.contract.js';
export { transportContract } from '../contracts/transport/index.js';
