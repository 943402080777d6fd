import { tokensOf } from './expected.js';
import { Params, parseMode } from './mode-name.js';
import type { ModelTable } from './models.js';
import { modes } from './modes.js';
import { Refusal } from './refusal.js';
import type { Reply } from './reply.js';
import { readRequest } from './request.js';

/** What the routes need of the fake. */
export interface RouteContext {
  readonly models: ModelTable;
  readonly explicitTokens: readonly string[] | undefined;
}

type Handler = (reply: Reply, body: string, context: RouteContext) => Promise<void>;

const generate: Handler = async (reply, body, { models, explicitTokens }) => {
  const request = readRequest(body);
  reply.answers(request);
  const thinks = models.check(request).capabilities?.includes('thinking') ?? false;
  const { name, params } = parseMode(request.model) ?? {
    name: thinks ? ('thinking' as const) : ('normal' as const),
    params: new Params(''),
  };
  const mode = modes[name];
  reply.playedBy(name);
  await mode.play({ reply, request, params, tokens: tokensOf(mode, params, explicitTokens), explicitTokens });
};

const routes = new Map<string, Handler>([
  ['GET /', (reply) => reply.whole(200, 'text/plain; charset=utf-8', 'Ollama is running')],
  ['GET /api/version', (reply) => reply.object({ version: '0.12.6' })],
  ['GET /api/tags', (reply, _, { models }) => reply.object(models.tags())],
  ['GET /v1/models', (reply, _, { models }) => reply.object(models.v1())],
  ['POST /api/chat', generate],
  ['POST /v1/chat/completions', generate],
]);

/** Answers one request. */
export async function answerRequest(reply: Reply, body: string, context: RouteContext): Promise<void> {
  const { method, path } = reply.record;
  const handle = routes.get(`${method} ${path}`);
  if (!handle) return reply.whole(404, 'text/plain', '404 page not found');
  try {
    await handle(reply, body, context);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    await reply.error(error.status, error.message);
  }
}
