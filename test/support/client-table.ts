import { pageText } from './pages.js';

/** A row of the table of clients. */
export interface ClientRow {
  readonly client: string;
  /** The lines of code or config that the client needs. */
  readonly lines: readonly string[];
  /** The test, by its path from the root. */
  readonly test: string;
}

const [, section = ''] = pageText('plugins/README.md').split('## Which clients work\n');
const [table = ''] = section.split('\n## ');

/** The clients that work, as plugins/README.md says. */
export const clientRows: readonly ClientRow[] = [
  ...table.matchAll(/^\| (.+) \| .+ \| (.+) \| \[.+\]\(\.\.\/(.+)\) \|$/gm),
].map(([, client = '', needs = '', test = '']) => ({
  client: client.replaceAll('`', ''),
  lines: [...needs.matchAll(/`([^`]+)`/g)]
    .map(([, line]) => line as string)
    .filter((line) => / |=/.test(line)),
  test,
}));

/** The lines for a client, for a server and a model of a test. */
export function linesFor(client: string, url: string, model: string): readonly string[] {
  const row = clientRows.find((each) => each.client === client);
  if (!row) throw new Error(`no client "${client}" in plugins/README.md`);
  return row.lines.map((line) =>
    line.replaceAll('http://localhost:9797', url).replaceAll('ollama/llama3.2', model),
  );
}
