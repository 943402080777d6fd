import type { ServerOptions } from 'node:https';
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { config as ollamaConfig } from '../../../../plugins/agent-ollama/config.js';
import { OllamaAgent } from '../../../../plugins/agent-ollama/ollama-agent.js';
import { config as openaiConfig } from '../../../../plugins/agent-openai/config.js';
import { OpenAiAgent } from '../../../../plugins/agent-openai/openai-agent.js';
import { makeCertificate } from '../../../support/certificate.js';
import { startScriptedServer } from '../../../support/scripted-server.js';
import { hello, wholeAnswer } from '../../../support/whole-answer.js';

const authority = makeCertificate('authority');
const signed = makeCertificate('server', { issuer: authority });

const agents = {
  'agent-openai': (url: string) => new OpenAiAgent('a', openaiConfig.parse({ baseUrl: `${url}/v1` })),
  'agent-ollama': (baseUrl: string) => new OllamaAgent(ollamaConfig.parse({ baseUrl })),
};

const rows: readonly (readonly [what: string, tls: ServerOptions | undefined, says: string])[] = [
  [
    'it signed its certificate itself',
    makeCertificate('self'),
    'self-signed; give its issuer to NODE_EXTRA_CA_CERTS',
  ],
  ['an issuer in the chain did', { ...signed, cert: signed.cert + authority.cert }, 'self-signed issuer'],
  ['the issuer is unknown', signed, 'issuer of its certificate is unknown'],
  ['its certificate has expired', makeCertificate('old', { from: -9, until: -8 }), 'expired'],
  ['its certificate is not valid yet', makeCertificate('new', { from: 8, until: 9 }), 'not valid yet'],
  ['it wants another version', { ...signed, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }, 'TLS failed'],
];

describe.each(Object.entries(agents))('%s and TLS', (_, create) => {
  const outcome = async (url: string) => {
    const agent = create(url);
    const { error } = await wholeAnswer(agent, hello('m'));
    const health = await agent.health(new AbortController().signal);
    agent.close();
    return { error, health };
  };

  const expectReason = async (url: string, says: string) => {
    const { error, health } = await outcome(url);
    expect(error).toMatchObject({ code: 'AGENT_UNAVAILABLE', message: expect.stringContaining(says) });
    expect(String((error as Error).message)).not.toContain('127.0.0.1');
    expect(health).toMatchObject({ healthy: false, detail: expect.stringContaining(says) });
  };

  it.each(rows)('says that %s', async (_, tls, says) => {
    const server = await startScriptedServer({}, { ...(tls && { tls }) });
    await expectReason(server.url, says);
    await server.close();
  });

  it('says that a port is no port for TLS', async () => {
    const server = await startScriptedServer();
    await expectReason(server.url.replace('http:', 'https:'), 'it does not speak TLS; use http://');
    await server.close();
  });

  it('says what it may be where a port wants TLS and says nothing', async () => {
    const server = await startScriptedServer({}, { tls: signed });
    const { error, health } = await outcome(server.url.replace('https:', 'http:'));
    const says = expect.stringContaining('without an answer; if it speaks TLS, use https://');
    expect(error).toMatchObject({ code: 'AGENT_DISCONNECTED', message: says });
    expect(health).toMatchObject({ healthy: false, detail: says });
    await server.close();
  });

  it('says so of one that speaks something else', async () => {
    const server = createServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('SSH-2.0-OpenSSH_9.6\r\n'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { readonly port: number };
    await expectReason(`https://127.0.0.1:${port}`, 'TLS');
    await new Promise((resolve) => server.close(resolve));
  });
});
