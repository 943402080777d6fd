import { sendAlong } from './actions.js';
import { html } from './html.js';
import { connection, current, forgotten, messages, notice } from './state.js';
import { words } from './words.js';

/** What has to be known now: of the connection, of the last action, of the conversation. */
export function Notices() {
  const state = words.states[connection.value];
  const said = notice.value;
  const id = current.value;
  const isForgotten = id !== undefined && messages.value.length > 0 && forgotten.value.has(id);
  return html`<div id="notice" role="status">
    ${'long' in state && html`<p>${state.long}</p>`}
    ${connection.value === 'refused' && html`<button type="button" onClick=${() => location.reload()}>${words.reconnect}</button>`}
    ${said && html`<p>${said.text}</p>`}
    ${said?.label && html`<button type="button" onClick=${said.act}>${said.label}</button>`}
    ${said && html`<button type="button" class="quiet" onClick=${() => (notice.value = undefined)}>${words.close}</button>`}
    ${isForgotten && html`<p>${words.forgotten}</p>`}
    ${isForgotten && html`<button type="button" onClick=${() => void sendAlong(id)}>${words.sendAlong}</button>`}
  </div>`;
}
