import { readFileSync } from 'node:fs';

const file = 'plugins/endpoint-metrics/grafana-dashboard.json';

interface Dashboard {
  readonly panels: readonly {
    readonly targets: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly query: string }[] };
}

/** The dashboard for Grafana: what it asks Prometheus, and the metrics of that. */
export function dashboard() {
  const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
  const { panels, templating } = JSON.parse(text) as Dashboard;
  const queries = [
    ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...templating.list.map(({ query }) => query),
  ];
  const names = queries.flatMap((query) => query.match(/\b(waggle|process|nodejs)_\w+/g) ?? []);
  const metrics = [...new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, '')))];
  return { file, queries, metrics };
}
