import {
  chatFields,
  clientChosenId,
  type ReadonlyRegistry,
  replacesField,
  type StartCommand,
  type TaskDefinition,
  taskPriorities,
  toolResults,
  WaggleError,
} from '#kernel';
import { checkNow, fromClient, isJsonObject, milliseconds, outerText, parseJson, turnFields } from '#sdk';
import { z } from '#zod';

const callId = z.string().min(1).max(256).describe('The `id` of the tool call');

const request = z.object({
  ...chatFields,
  content: chatFields.content.optional().describe('Required without `toolResults`'),
  toolResults: toolResults.optional(),
  requestId: clientChosenId.optional(),
  conversationId: clientChosenId.optional(),
  priority: z.enum(['low', 'normal', 'high']).optional(),
  positions: z.boolean().default(false),
  replaces: replacesField.optional(),
  onDisconnect: z.enum(['continue', 'cancel', 'finish']).optional(),
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
  tool_result: z
    .object({
      streamId,
      id: callId,
      output: z.unknown().describe('Any JSON').optional(),
      error: z.string().max(10_000).describe('Why there is none').optional(),
    })
    .describe('The result of a tool of the client'),
  approve: z
    .object({
      streamId,
      id: callId,
      allow: z.boolean(),
      reason: z.string().max(1000).describe('For the model, if it is not allowed').optional(),
    })
    .describe('The answer to `approval_required`, from any connection of the user'),
  cancel_task: z.object({ taskId: z.string().min(1).max(128) }),
  inbox: z
    .object({ after: z.int().min(0).describe('The last `seq` that the client has').optional() })
    .describe('The notifications after that one; without it, the newest number'),
  ping: z.object({}),
  auth: z
    .object({ token: z.string().min(1).max(16_384) })
    .describe('Credentials: the first frame of a connection without any, later newer ones of the same user'),
};

type ClientFrames = typeof clientFrames;
export type ChatFrame = z.infer<typeof request> & { readonly type: 'stream_request' | 'message' };
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
export type Asker = Pick<StartCommand, 'userId' | 'clientId' | 'principal' | 'connection'>;

/** Errors repeat a `requestId` up to this length. */
const echoLimitChars = 1024;

/** The `requestId` of a refused frame, for its error. */
export function requestIdOf(text: string): string | undefined {
  return outerText(text, 'requestId', echoLimitChars);
}

/** The command of a chat frame from a user. */
export function commandOf(frame: ChatFrame, asker: Asker): StartCommand {
  const { agent, model, conversationId, replaces, requestId, onDisconnect, priority, tools } = frame;
  const endpoint = 'WS';
  const { content, messages, options } = turnFields(frame, 'INVALID_FRAME');
  const { userId, clientId, principal, connection } = asker;
  // Field by field: an object made by two spreads is slow to make, and slow to read ever after.
  return {
    content,
    messages,
    options,
    userId,
    clientId,
    principal,
    connection,
    conversationId,
    replaces,
    agent,
    model,
    requestId,
    endpoint,
    onDisconnect,
    priority,
    awaitsToolResults: frame.type === 'stream_request' && Boolean(tools?.length),
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
