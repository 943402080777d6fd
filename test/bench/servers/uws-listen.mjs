import uWS from 'uWebSockets.js';

export const decode = (message) => Buffer.from(message).toString();

/** An app with `/health`, which is listening when this module's user has added its routes. */
export function serve(addRoutes) {
  const app = uWS.App();
  app.get('/health', (response) => response.end('{"status":"ok"}'));
  addRoutes(app);
  const { HOST, PORT } = process.env;
  app.listen(HOST, Number(PORT), uWS.LIBUS_LISTEN_EXCLUSIVE_PORT, (socket) => {
    if (!socket) process.exit(1);
  });
}

/** The options of every WebSocket route here. */
export const socketOptions = { compression: 0, idleTimeout: 120, maxBackpressure: 64 * 1024 * 1024 };
