import { expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.js';
import { events, startScriptedServer } from '../support/scripted-server.js';
import { startServer } from '../support/server.js';
import { textOf, WsClient } from '../support/ws-client.js';

it('a model server whose issuer is trusted answers, unless its certificate is for another name', async () => {
  const authority = makeCertificate('authority');
  const body = events({ choices: [{ delta: { content: 'Hi' }, finish_reason: 'stop' }] });
  const tls = (ip: readonly number[]) => ({ tls: makeCertificate('server', { ip, issuer: authority }) });
  const right = await startScriptedServer({ body }, tls([127, 0, 0, 1]));
  const wrong = await startScriptedServer({ body }, tls([127, 0, 0, 2]));
  const agent = (url: string) => ({ use: 'agent-openai', config: { baseUrl: `${url}/v1` } });
  const server = await startServer({
    config: { plugins: { right: agent(right.url), wrong: agent(wrong.url) } },
    files: { 'authority.pem': authority.cert },
    env: { NODE_EXTRA_CA_CERTS: 'authority.pem' },
  });
  const client = await WsClient.connect(`${server.ws}/tls`);
  const ask = (name: string) => client.ask({ content: 'Hallo', agent: name, model: 'm' });
  expect(textOf(await ask('right'))).toBe('Hi');
  expect((await ask('wrong')).at(-1)).toMatchObject({
    code: 'AGENT_UNAVAILABLE',
    message: expect.stringContaining('its certificate is for another name'),
  });
  await client.close();
  expect(await server.stop()).toBe(0);
  await right.close();
  await wrong.close();
});
