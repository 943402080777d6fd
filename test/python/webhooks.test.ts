import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { config } from '../../plugins/notify-webhook/config.js';
import { Endpoint } from '../../plugins/notify-webhook/endpoint.js';
import { silentLogger } from '../support/kernel.js';

const secret = `whsec_${randomBytes(32).toString('base64')}`;

function startReceiver(): ChildProcess {
  const program = fileURLToPath(new URL('programs/webhook_receiver.py', import.meta.url));
  const env = { ...process.env, WEBHOOK_SECRET: secret };
  const child = spawn(process.env.WAGGLE_PYTHON as string, [program], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(async () => {
    child.kill();
    await once(child, 'exit');
  });
  return child;
}

describe('a receiver in Python', () => {
  it('checks the signatures of webhooks with the library of Standard Webhooks', async () => {
    const { stdout } = startReceiver();
    const lines = createInterface({ input: stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
    const { value: port } = await lines.next();
    const url = `http://127.0.0.1:${port}`;
    const { endpoints, ...limits } = config.parse({ endpoints: { py: { url, secret, allowPrivate: true } } });
    const endpoint = new Endpoint('py', endpoints.py as (typeof endpoints)[string], limits, silentLogger);
    onTestFinished(() => endpoint.stop(0));
    for (let n = 0; n < 3; n++)
      endpoint.send({ type: 'chat:finished', subject: 'a', data: { n, text: 'Grüße, 世界 🐝!' } });
    for (let n = 0; n < 3; n++) expect(await lines.next()).toMatchObject({ value: `chat:finished ${n}` });
  });
});
