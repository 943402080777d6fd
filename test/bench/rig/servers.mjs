import { node, pythonServer, socketIo, uws } from './contender.mjs';

const fastapi = ['fastapi', 'uvicorn', 'uvloop', 'httptools', 'websockets'];

/** Servers with the agent of the bench inside. */
export const push = {
  uwsLimit: node('uws-limit', 'uws-limit.mjs', uws),
  uwsNaive: node('uws-naive', 'uws-naive.mjs', uws),
  ws: node('ws', 'ws-push.mjs', ['ws']),
  socketIo: node('socket.io', 'socketio-push.mjs', ['socket.io'], socketIo),
  fastify: node('fastify', 'fastify-push.mjs', ['fastify', '@fastify/websocket']),
  fastapi: pythonServer('fastapi', 'fastapi_push.py', fastapi),
};

/** Servers between Ollama and a WebSocket. */
export const proxies = {
  proxyLimit: node('proxy-limit', 'proxy-limit.mjs', uws),
  rawLimit: node('raw-limit', 'raw-limit.mjs', uws),
  ws: node('ws + ollama', 'ws-ollama.mjs', ['ws', 'ollama']),
  fastapi: pythonServer('fastapi + aiohttp', 'fastapi_ollama.py', [...fastapi, 'aiohttp']),
};

/** The mock of Ollama, in front of which `proxies` are measured. */
export const mock = { file: 'mock/ollama.mjs' };
