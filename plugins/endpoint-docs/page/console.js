import { element } from './frames.js';
import { root } from './root.js';

const linesKept = 500;

/** A console for a channel: connect, edit a frame, send it, see the responses. */
export function startConsole(channels) {
  const [endpoint, address, state, type, frame, connect, send, log] =
    'endpoint address state type frame connect send log'.split(' ').map((id) => document.getElementById(id));
  let socket;
  let streamId = '';

  const write = (direction, text) => {
    log.append(element('li', { class: direction }, element('b', {}, `${direction} `), text));
    while (log.children.length > linesKept) log.firstChild.remove();
    log.scrollTop = log.scrollHeight;
  };
  const show = (text, open) => {
    state.textContent = text;
    connect.textContent = socket ? 'Disconnect' : 'Connect';
    send.disabled = !open;
  };
  const open = () => {
    const url = new URL(address.value, root);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const opened = new WebSocket(url);
    socket = opened;
    show('connecting', false);
    opened.onopen = () => show('connected', true);
    opened.onmessage = ({ data }) => {
      streamId = /"streamId":"([^"]+)"/.exec(data)?.[1] ?? streamId;
      write('received', data);
    };
    opened.onclose = ({ code, reason }) => {
      if (socket !== opened) return;
      socket = undefined;
      show(`closed with ${code} ${reason}`, false);
    };
  };
  const close = () => {
    const closing = socket;
    socket = undefined;
    closing.close();
    show('not connected', false);
  };

  const frames = new Map();
  const fill = () => {
    const payload = frames.get(type.value) ?? {};
    frame.value = JSON.stringify(exampleOf(payload, streamId));
  };
  const choose = () => {
    const { address: path = '/', messages = {} } = channels[Math.max(0, endpoint.selectedIndex)] ?? {};
    frames.clear();
    for (const [key, message] of Object.entries(messages))
      if (key.startsWith('receive.')) frames.set(message.name, message.payload);
    type.replaceChildren(...[...frames.keys()].map((name) => element('option', {}, name)));
    address.value = (root.pathname.slice(0, -1) + path).replace(
      /\{\w+\}/g,
      () => `docs-${Date.now().toString(36)}`,
    );
    fill();
  };
  endpoint.append(...channels.map((channel) => element('option', {}, channel.address)));
  choose();

  endpoint.addEventListener('change', choose);
  type.addEventListener('change', fill);
  document.getElementById('connection').addEventListener('submit', (event) => {
    event.preventDefault();
    if (socket) close();
    else open();
  });
  document.getElementById('sending').addEventListener('submit', (event) => {
    event.preventDefault();
    socket?.send(frame.value);
    write('sent', frame.value);
  });
  document.getElementById('clear').addEventListener('click', () => log.replaceChildren());
}

/** An example frame with all required fields; `streamId` is the most recent one. */
function exampleOf(schema, streamId) {
  const names = ['type', ...(schema.required ?? []).filter((name) => name !== 'type')];
  const entries = names.map((name) => [
    name,
    name === 'streamId' ? streamId : exampleValue(schema.properties?.[name] ?? {}),
  ]);
  return Object.fromEntries(entries);
}

function exampleValue(schema) {
  if ('const' in schema) return schema.const;
  if ('default' in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  const examples = { string: 'Hello', integer: 0, number: 0, boolean: false, array: [], object: {} };
  return examples[schema.type] ?? null;
}
