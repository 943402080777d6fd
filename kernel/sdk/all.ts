// The door `waggle-server`: the kernel's door and, for one more release, the names that have moved to `waggle-server/sdk…`
// or were renamed.

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
/** @deprecated `withPluginName` */
export { withPluginName as blaming } from '../index.js';
export * from './http/index.js';
export * from './index.js';
/** @deprecated `ExpiringSet`, `randomId` */
export { ExpiringSet as Retention, randomId as capability } from './index.js';
export * from './upstream/index.js';
