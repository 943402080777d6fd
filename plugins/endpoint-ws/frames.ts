import {
  chatFields,
  clientChosenId,
  type ReadonlyRegistry,
  type StartCommand,
  type TaskDefinition,
  taskPriorities,
  WaggleError,
} from '#kernel';
import { checkNow, fromClient, isJsonObject, milliseconds, outerText, parseJson } from '#sdk';
import { z } from '#zod';

const request = z.object({
  ...chatFields,
  requestId: clientChosenId.optional(),
  conversationId: clientChosenId.optional(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
  positions: z.boolean().default(false),
  onDisconnect: z.enum(['continue', 'cancel']).optional(),
});
const streamId = z.string().min(1).max(128);

/** Frames from clients by `type`. Unknown fields are ignored. */
export const clientFrames = {
  stream_request: request,
  message: request,
  cancel: z.object({ streamId }),
  resume: z.object({ streamId, position: z.int().min(0).default(0), positions: z.boolean().default(false) }),
  task: z.object({
    task: z.string().min(1).max(128),
    input: z.unknown().optional(),
    requestId: clientChosenId.optional(),
    priority: z.enum(taskPriorities).optional(),
    timeoutMs: milliseconds.optional(),
  }),
  cancel_task: z.object({ taskId: z.string().min(1).max(128) }),
  ping: z.object({}),
  auth: z
    .object({ token: z.string().min(1).max(16_384) })
    .describe('Credentials: the first frame of a connection without any, later newer ones of the same user'),
};

type ClientFrames = typeof clientFrames;
export type ChatFrame = z.infer<typeof request>;
export type TaskFrame = z.infer<typeof clientFrames.task>;
/** A frame whose type is the name of a task. */
export interface MessageFrame {
  readonly type: 'registered';
  readonly name: string;
  readonly requestId?: string | undefined;
  /** All other fields. */
  readonly input: Readonly<Record<string, unknown>>;
}
export type ClientFrame =
  | MessageFrame
  | {
      [T in keyof ClientFrames]: { readonly type: T } & z.infer<ClientFrames[T]>;
    }[keyof ClientFrames];

/** @throws INVALID_JSON, TOO_DEEP, INVALID_FRAME with the path of each wrong field, UNKNOWN_TYPE */
export function readFrame(text: string, tasks: ReadonlyRegistry<TaskDefinition>): ClientFrame {
  const json = parseJson(text);
  if (!isJsonObject(json)) throw new WaggleError('INVALID_FRAME', { issues: ['expected a JSON object'] });
  const { type } = json;
  if (typeof type !== 'string')
    throw new WaggleError('INVALID_FRAME', { issues: ['type: expected a string'] });
  if (!isKnown(type)) {
    if (tasks.find(type)?.message) return messageFrame(type, json);
    const known = [...Object.keys(clientFrames), ...messageTypes(tasks).map(({ name }) => name)];
    throw new WaggleError('UNKNOWN_TYPE', { type: type.slice(0, 64), known });
  }
  return Object.assign(checked<object>(clientFrames[type], json), { type }) as ClientFrame;
}

/** The sender of a frame. */
export type Asker = Pick<StartCommand, 'userId' | 'principal' | 'connection'>;

/** Errors repeat a `requestId` up to this length. */
const echoLimitChars = 1024;

/** The `requestId` of a refused frame, for its error. */
export function requestIdOf(text: string): string | undefined {
  return outerText(text, 'requestId', echoLimitChars);
}

/** The command of a chat frame from a user. */
export function commandOf(frame: ChatFrame, asker: Asker): StartCommand {
  const { content, agent, model, options, conversationId, requestId, onDisconnect, priority } = frame;
  const endpoint = 'WS';
  return {
    content,
    ...asker,
    conversationId,
    agent,
    model,
    options,
    requestId,
    endpoint,
    onDisconnect,
    priority,
  };
}

/** Tasks with a frame type of their own. */
export function messageTypes(tasks: Iterable<TaskDefinition>): readonly TaskDefinition[] {
  return [...tasks].filter(({ message }) => message);
}

const ofMessages = z.object({ requestId: clientChosenId.optional() });

function messageFrame(name: string, json: Readonly<Record<string, unknown>>): MessageFrame {
  const { type: _, requestId, ...input } = json;
  return { type: 'registered', name, ...checked(ofMessages, { requestId }), input };
}

function checked<T>(schema: z.ZodType<T>, json: unknown): T {
  const result = checkNow(schema, json, fromClient);
  if (result instanceof Promise) throw new TypeError('a schema of frames must not wait');
  if (result.issues) throw new WaggleError('INVALID_FRAME', { issues: result.issues });
  return result.value;
}

function isKnown(type: string): type is keyof ClientFrames {
  return Object.hasOwn(clientFrames, type);
}
