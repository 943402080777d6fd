import { startConsole } from './console.js';
import { showChannel } from './frames.js';

globalThis.SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#swagger',
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  // Otherwise it asks a validator on the internet.
  validatorUrl: 'none',
});

const answer = await fetch('/asyncapi.json');
const channels = Object.values((await answer.json()).channels);
const section = document.querySelector('#frames');
for (const channel of channels) section.append(...showChannel(channel));
startConsole(channels);
