// The door `waggle-server`: the kernel's door, the kernel itself for programs that embed it and, for one more release, the
// names that have moved to `waggle-server/sdk…` or were renamed.

export * from '../check.js';
export type { KernelOptions, OnPhase, UseOptions, Wanted } from '../contracts/kernel-options.js';
export type {
  /** @deprecated `HttpResponse` */
  HttpResponse as HttpReply,
  /** @deprecated `ReadonlyRegistry` */
  ReadonlyRegistry as Contributions,
  /** @deprecated `ResponseDocs` */
  ResponseDocs as AnswerDocs,
  /** @deprecated `StreamStats` */
  StreamStats as StreamFigures,
  /** @deprecated `TaskStats` */
  TaskStats as TaskFigures,
} from '../index.js';
export * from '../index.js';
export * from '../kernel.js';
export * from '../kernel-bus.js';
export * from '../logger.js';
/** @deprecated `withPluginName` */
export { withPluginName as blaming } from '../logger.js';
export * from '../registry.js';
export * from '../scope.js';
export * from '../services.js';
export { Kernel } from './embedded-kernel.js';
export * from './http/index.js';
export * from './index.js';
/** @deprecated `ExpiringSet`, `randomId` */
export { ExpiringSet as Retention, randomId as capability } from './index.js';
export * from './logger.js';
export * from './upstream/index.js';
