import uWS from 'uWebSockets.js';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { WaggleError } from '#kernel';
import { settleWithin } from '#sdk';

const listenTimeoutMs = 5000;

// Missing in the typings.
const { LIBUS_LISTEN_DEFAULT, LIBUS_LISTEN_EXCLUSIVE_PORT } = uWS as unknown as Readonly<
  Record<string, number>
>;
type ListenAt = (
  host: string,
  port: number,
  options: number,
  done: (socket: uWS.us_listen_socket | false) => void,
) => void;

/** Listens on a port exclusively. @throws LISTEN_FAILED */
export function listen(app: uWS.TemplatedApp, host: string, port: number): Promise<uWS.us_listen_socket> {
  return listenAt(app, host, port, LIBUS_LISTEN_EXCLUSIVE_PORT as number);
}

/**
 * Listens on a port that no other process has, in such a way that `listenBeside` is possible. Of 0 it takes a free one.
 * @throws LISTEN_FAILED
 */
export async function listenShared(
  app: uWS.TemplatedApp,
  host: string,
  port: number,
): Promise<uWS.us_listen_socket> {
  const tried = await tryPort(host, port);
  if (typeof tried === 'string') throw new WaggleError('LISTEN_FAILED', { host, port, why: tried });
  return listenBeside(app, host, tried);
}

/** Listens on a port of this process. @throws LISTEN_FAILED */
export function listenBeside(
  app: uWS.TemplatedApp,
  host: string,
  port: number,
): Promise<uWS.us_listen_socket> {
  return listenAt(app, host, port, LIBUS_LISTEN_DEFAULT as number);
}

async function listenAt(
  app: uWS.TemplatedApp,
  host: string,
  port: number,
  options: number,
): Promise<uWS.us_listen_socket> {
  const listening = new Promise<uWS.us_listen_socket | false>((resolve) => {
    (app.listen as unknown as ListenAt).call(app, host, port, options, resolve);
  });
  const socket = (await settleWithin(listening, listenTimeoutMs)) && (await listening);
  if (!socket) throw new WaggleError('LISTEN_FAILED', { host, port, why: await whyNot(host, port) });
  return socket;
}

/** The reason, from an attempt with `node:net`, because uWebSockets gives none. */
async function whyNot(host: string, port: number): Promise<string> {
  const tried = await tryPort(host, port);
  return typeof tried === 'string' ? tried : 'the operating system refused';
}

/** The port, where this process alone may listen on it; or why not. */
async function tryPort(host: string, port: number): Promise<number | string> {
  const probe = createServer().listen({ host, port, exclusive: true });
  try {
    await once(probe, 'listening', { signal: AbortSignal.timeout(listenTimeoutMs) });
    return (probe.address() as AddressInfo).port;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    await new Promise((resolve) => probe.close(resolve));
  }
}
