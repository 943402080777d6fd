import { tokensOf } from './expected.js';
import { Params, parseMode } from './mode-name.js';
import type { ModelTable } from './models.js';
import { modes } from './modes.js';
import { firstJsonObject } from './parse.js';
import { Refusal } from './refusal.js';
import { jsonType, type Reply } from './reply.js';
import { type Route, readRequest } from './request.js';
import { loadOnly, type Server } from './run.js';

/** What the routes need of the fake. */
export interface RouteContext {
  readonly models: ModelTable;
  readonly server: Server;
  readonly explicitTokens: readonly string[] | undefined;
  readonly version: string;
}

type Handler = (reply: Reply, body: string, context: RouteContext) => Promise<void>;

function generation(route: Route): Handler {
  return async (reply, body, { models, server, explicitTokens }) => {
    const request = readRequest(route, body);
    reply.answers(request);
    const spec = models.check(request);
    const thinks = spec.capabilities?.includes('thinking') ?? false;
    const parsed = parseMode(request.model) ?? {
      name: thinks ? ('thinking' as const) : ('normal' as const),
      params: new Params(''),
    };
    const mode = modes[parsed.name];
    reply.playedBy(parsed.name);
    const run = {
      reply,
      request,
      params: parsed.params,
      tokens: tokensOf(mode, parsed.params, explicitTokens),
      explicitTokens,
      server,
    };
    if (mode.stage === 'refuses') {
      await mode.play(run);
      return;
    }
    models.begin(request.model, request.keepAliveMs);
    try {
      await (request.empty && mode.stage === 'tokens' ? loadOnly(run) : mode.play(run));
    } finally {
      models.end(request.model);
    }
    if (parsed.name === 'unload') models.unload(request.model);
  };
}

const routes = new Map<string, { readonly methods: readonly string[]; readonly handle: Handler }>([
  [
    '/',
    {
      methods: ['GET', 'HEAD'],
      handle: (reply) => reply.whole(200, 'text/plain; charset=utf-8', 'Ollama is running'),
    },
  ],
  [
    '/api/version',
    { methods: ['GET', 'HEAD'], handle: (reply, _body, { version }) => reply.object({ version }) },
  ],
  [
    '/api/tags',
    { methods: ['GET', 'HEAD'], handle: (reply, _body, { models }) => reply.object(models.tags()) },
  ],
  ['/v1/models', { methods: ['GET'], handle: (reply, _body, { models }) => reply.object(models.v1()) }],
  ['/v1/chat/completions', { methods: ['POST'], handle: generation('chat') }],
  ['/api/ps', { methods: ['GET'], handle: (reply, _body, { models }) => reply.object(models.ps()) }],
  ['/api/show', { methods: ['POST'], handle: show }],
  ['/api/chat', { methods: ['POST'], handle: generation('chat') }],
  ['/api/generate', { methods: ['POST'], handle: generation('generate') }],
]);

async function show(reply: Reply, body: string, { models }: RouteContext): Promise<void> {
  const request = firstJsonObject(body, 'ShowRequest');
  const model = String(request.model || request.name || '');
  if (model === '') throw new Refusal(400, 'model is required');
  await reply.object(models.show(model));
}

/** Answers one request. */
export async function answerRequest(reply: Reply, body: string, context: RouteContext): Promise<void> {
  const { method, path } = reply.record;
  const route = routes.get(path);
  if (route === undefined) return reply.whole(404, 'text/plain', '404 page not found');
  if (!route.methods.includes(method)) return reply.whole(405, 'text/plain', '405 method not allowed');
  try {
    await route.handle(reply, body, context);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.fromStream && wantsStream(body)) {
      return reply.whole(error.status, 'application/json', reply.errorBody(error.message, error.status));
    }
    return reply.whole(error.status, jsonType, reply.errorBody(error.message, error.status));
  }
}

/** For a refusal that comes before the request was read to its end. */
function wantsStream(body: string): boolean {
  return firstJsonObject(body, 'ChatRequest').stream !== false;
}
