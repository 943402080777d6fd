/** A channel of an AsyncAPI document: headings, and a collapsible section per frame. */
export function showChannel({ address, summary, description, messages }) {
  const shown = (action) =>
    Object.entries(messages)
      .filter(([key]) => key.startsWith(`${action}.`))
      .map(([, message]) => showFrame(message));
  return [
    element('h3', {}, element('code', {}, address), ` ${summary}`),
    element('p', {}, description ?? ''),
    element('h4', {}, 'You send'),
    ...shown('receive'),
    element('h4', {}, 'You get'),
    ...shown('send'),
  ];
}

/** An element with attributes and children. */
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function showFrame({ name, summary = '', payload }) {
  const rows = fieldsOf(payload).map(({ path, type, required, description }) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, element('code', {}, path)),
      element('td', {}, type, required ? '' : ', optional'),
      element('td', {}, description),
    ),
  );
  const heads = ['Field', 'Type', 'Meaning'].map((text) => element('th', { scope: 'col' }, text));
  const table = element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...rows),
  );
  return element(
    'details',
    {},
    element('summary', {}, element('code', {}, name), ` ${summary}`),
    element('div', { class: 'wide' }, table),
  );
}

function fieldsOf({ properties = {}, required = [] }, above = '') {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = above + name;
    const { description = '' } = schema;
    const field = { path, type: typeOf(schema), required: required.includes(name), description };
    return [field, ...fieldsOf(schema, `${path}.`)];
  });
}

function typeOf(schema) {
  if ('const' in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  const options = schema.anyOf ?? schema.oneOf;
  if (options) return options.map(typeOf).join(' or ');
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {})}`;
  const otherwise = 'default' in schema ? `, ${JSON.stringify(schema.default)} when absent` : '';
  return `${schema.type ?? 'anything'}${otherwise}`;
}
