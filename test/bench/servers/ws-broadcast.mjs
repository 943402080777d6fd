/** What is posted to `/notifications` goes to all connections: a loop over the sockets of `ws`. */
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import { WebSocketServer } from 'ws';

let seq = 0;
const server = createServer(async (request, response) => {
  if (request.url === '/health') return response.end('{"status":"ok"}');
  const { topic, data } = await json(request);
  const frame = JSON.stringify({ type: 'notification', seq: ++seq, topic, data });
  for (const socket of sockets.clients) socket.send(frame);
  response.writeHead(202).end('{}');
});
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
server.listen(Number(process.env.PORT), process.env.HOST);
