import uWS from 'uWebSockets.js';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { WaggleError } from '#kernel';
import { settleWithin } from '#sdk';

const listenTimeoutMs = 5000;

// Missing in the typings.
const { LIBUS_LISTEN_EXCLUSIVE_PORT } = uWS as unknown as { readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number };
type ListenAt = (
  host: string,
  port: number,
  options: number,
  done: (socket: uWS.us_listen_socket | false) => void,
) => void;

/** Listens on a port exclusively. @throws LISTEN_FAILED */
export async function listen(
  app: uWS.TemplatedApp,
  host: string,
  port: number,
): Promise<uWS.us_listen_socket> {
  const listening = new Promise<uWS.us_listen_socket | false>((resolve) => {
    (app.listen as unknown as ListenAt).call(app, host, port, LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
  });
  const socket = (await settleWithin(listening, listenTimeoutMs)) && (await listening);
  if (!socket) throw new WaggleError('LISTEN_FAILED', { host, port, why: await whyNot(host, port) });
  return socket;
}

/** The reason, from an attempt with `node:net`, because uWebSockets gives none. */
async function whyNot(host: string, port: number): Promise<string> {
  const probe = createServer().listen({ host, port, exclusive: true });
  try {
    await once(probe, 'listening', { signal: AbortSignal.timeout(listenTimeoutMs) });
    return 'the operating system refused';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    probe.close();
  }
}
