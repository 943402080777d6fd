const mark = '"content":"';
const tail = '"},"done":false';

/** The body of a request to Ollama. */
export const requestOf = (content) =>
  JSON.stringify({ model: 'bench', messages: [{ role: 'user', content }], stream: true });

/** The text of a line as it stands in JSON, quotes included; undefined in the last line. */
export function contentOf(line) {
  const from = line.indexOf(mark) + mark.length - 1;
  const to = line.indexOf(tail, from);
  if (from >= mark.length && to > 0) return line.slice(from, to + 1);
  const { message, done } = JSON.parse(line);
  return done ? undefined : JSON.stringify(message.content);
}
