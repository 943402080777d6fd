import { startConsole } from './console.js';
import { showChannel } from './frames.js';
import { root } from './root.js';

globalThis.SwaggerUIBundle({
  url: new URL('openapi.json', root).href,
  dom_id: '#swagger',
  docExpansion: 'list',
  defaultModelsExpandDepth: -1,
  // The default sends the document to a validator on the internet.
  validatorUrl: 'none',
});

const answer = await fetch(new URL('asyncapi.json', root));
const channels = Object.values((await answer.json()).channels);
const section = document.querySelector('#frames');
for (const channel of channels) section.append(...showChannel(channel));
startConsole(channels);
