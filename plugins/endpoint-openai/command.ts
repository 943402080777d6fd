import {
  type ChatOptions,
  check,
  clientChosenId,
  fromClient,
  type HttpRequest,
  type StartCommand,
  WaggleError,
} from '#kernel';
import { type ChatBody, type CommonBody, chatBody, runHeaders, type TextBody, textBody } from './body.js';
import { messagesOf } from './messages.js';

/** A request that was read. */
export interface Order {
  /** As the client calls it. */
  readonly model: string;
  readonly streamed: boolean;
  readonly includeUsage: boolean;
  /** All but who answers. */
  readonly command: StartCommand;
}

const anonymous = 'openai';

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readChat(request: HttpRequest): Promise<Order> {
  const body: ChatBody = await checked(chatBody, await request.json());
  return order(body, await readHeaders(request), {
    endpoint: 'POST /v1/chat/completions',
    messages: messagesOf(body.messages),
    options: { ...optionsOf(body), ...chatOptionsOf(body) },
  });
}

/** @throws INVALID_REQUEST with the path of each wrong field */
export async function readText(request: HttpRequest): Promise<Order> {
  const body: TextBody = await checked(textBody, await request.json());
  const { prompt } = body;
  const content = typeof prompt === 'string' ? prompt : (prompt[0] as string);
  return order(body, await readHeaders(request), {
    endpoint: 'POST /v1/completions',
    messages: [{ role: 'user', content }],
    options: optionsOf(body),
  });
}

type RunHeaders = Awaited<ReturnType<typeof readHeaders>>;

function order(
  body: CommonBody,
  headers: RunHeaders,
  asked: Pick<Required<StartCommand>, 'endpoint' | 'messages' | 'options'>,
): Order {
  const { 'X-Conversation-Id': conversationId, 'Idempotency-Key': key } = headers;
  const user = userOf(body.user);
  return {
    model: body.model,
    streamed: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    command: {
      ...asked,
      content: '',
      userId: user ?? anonymous,
      conversationId,
      stateless: conversationId === undefined,
      // A key of nobody in particular could be anybody's.
      requestId: user && key,
      // Who gives a key means to come back for the answer.
      onDisconnect: headers['X-On-Disconnect'] ?? (key === undefined ? 'cancel' : 'continue'),
      ...(body.metadata && { metadata: body.metadata }),
    },
  };
}

async function readHeaders(request: HttpRequest) {
  const names = Object.keys(runHeaders.shape);
  const given = names.flatMap((name) => {
    const value = request.header(name);
    return value === undefined ? [] : [[name, value]];
  });
  return checked(runHeaders, Object.fromEntries(given));
}

async function checked<T>(schema: Parameters<typeof check<T>>[0], input: unknown): Promise<T> {
  const { value, mistakes } = await check(schema, input, fromClient);
  if (mistakes) throw new WaggleError('INVALID_REQUEST', { mistakes });
  return value;
}

/** Who asks, for the log and for the conversations that are remembered. */
function userOf(user: CommonBody['user']): string | undefined {
  const [field, id] = nameOf(user);
  if (typeof id !== 'string' || id === '') return undefined;
  const { success } = clientChosenId.safeParse(id);
  if (success) return id;
  throw new WaggleError('INVALID_REQUEST', { mistakes: [`${field}: expected string 1-128 characters`] });
}

function nameOf(user: CommonBody['user']): readonly [string, unknown] {
  if (typeof user !== 'object' || !user) return ['user', user];
  const field = ['id', 'email', 'name'].find((each) => user[each] != null);
  return field ? [`user.${field}`, user[field]] : ['user', undefined];
}

function optionsOf(body: CommonBody): ChatOptions {
  const { stop } = body;
  return {
    temperature: body.temperature ?? undefined,
    topP: body.top_p ?? undefined,
    seed: body.seed ?? undefined,
    maxTokens: body.max_tokens ?? undefined,
    presencePenalty: body.presence_penalty ?? undefined,
    frequencyPenalty: body.frequency_penalty ?? undefined,
    stop: typeof stop === 'string' ? [stop] : (stop ?? undefined),
  };
}

function chatOptionsOf(body: ChatBody): ChatOptions {
  const { response_format: format, tools } = body;
  return {
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    reasoningEffort: body.reasoning_effort ?? body.reasoning?.effort ?? undefined,
    format:
      format?.type === 'json_schema'
        ? (format.json_schema.schema ?? 'json')
        : format?.type === 'json_object'
          ? 'json'
          : undefined,
    tools: tools?.map(({ function: { name, description, parameters } }) => ({
      name,
      description: description ?? undefined,
      parameters: parameters ?? undefined,
    })),
    toolChoice: toolChoiceOf(body.tool_choice),
  };
}

function toolChoiceOf(choice: ChatBody['tool_choice']): ChatOptions['toolChoice'] {
  if (choice === 'none' || choice === 'required') return choice;
  const { function: called } = (typeof choice === 'object' && choice ? choice : {}) as {
    readonly function?: { readonly name?: unknown };
  };
  return typeof called?.name === 'string' ? { name: called.name } : undefined;
}
