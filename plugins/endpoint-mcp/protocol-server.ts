import type { AuthInfo, Server } from '@modelcontextprotocol/server';
import type { Principal } from '#kernel';
import { version } from '#sdk';
import type { Offers } from './offers.js';
import { callTool, type Workshop } from './tool-calls.js';

/** The package of the protocol, which is loaded with the first request. */
export type Package = typeof import('@modelcontextprotocol/server');

/** A server for one request, or for one session. */
export function protocolServer(
  { Server: Protocol, ProtocolError, ProtocolErrorCode }: Package,
  offers: Offers,
  workshop: Workshop,
): Server {
  const server = new Protocol(
    { name: 'waggle', version },
    { capabilities: { tools: { listChanged: true } } },
  );
  server.setRequestHandler('tools/list', () => ({
    tools: [...offers.list().values()].map(({ name, description, inputSchema }) => ({
      name,
      ...(description !== undefined && { description }),
      inputSchema: { ...inputSchema, type: 'object' as const },
    })),
  }));
  server.setRequestHandler('tools/call', ({ params }, { http, mcpReq }) => {
    const { name, arguments: args = {} } = params;
    const offer = offers.list().get(name);
    if (!offer)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `there is no tool "${name.slice(0, 128)}"`);
    return callTool(workshop, offer, args, principalIn(http?.authInfo), mcpReq);
  });
  return server;
}

/** A user in the form in which the package carries one, without credentials. */
export function authOf(principal: Principal | undefined): { readonly authInfo?: AuthInfo } {
  if (!principal) return {};
  const { id: clientId, scopes } = principal;
  return { authInfo: { token: '', clientId, scopes: [...scopes], extra: { principal } } };
}

function principalIn(authInfo: AuthInfo | undefined): Principal | undefined {
  return authInfo?.extra?.principal as Principal | undefined;
}
