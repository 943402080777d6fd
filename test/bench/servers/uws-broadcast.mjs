import { decode, serve, socketOptions } from './uws-listen.mjs';

let seq = 0;

serve((app) => {
  app.ws('/ws/:id', { ...socketOptions, open: (ws) => ws.subscribe('everyone') });
  app.post('/notifications', (response) => {
    let body = '';
    response.onAborted(() => {});
    response.onData((part, isLast) => {
      body += decode(part);
      if (!isLast) return;
      const { topic, data } = JSON.parse(body);
      app.publish('everyone', JSON.stringify({ type: 'notification', seq: ++seq, topic, data }));
      response.cork(() => response.writeStatus('202 Accepted').end('{}'));
    });
  });
});
