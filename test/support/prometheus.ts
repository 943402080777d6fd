import parse from 'parse-prometheus-text-format';

/** One metric of `GET /metrics`, with its series. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'COUNTER' | 'GAUGE' | 'HISTOGRAM' | 'SUMMARY' | 'UNTYPED';
  readonly metrics: readonly { readonly labels?: Labels; readonly value: string }[];
}

type Labels = Readonly<Record<string, string>>;

/** What a server says of itself at one moment. */
export class Scrape {
  readonly text: string;
  readonly type: string | null;
  /** As the parser gives them; it mixes up the series of a histogram. */
  readonly families: readonly Family[];
  /** The same, but for histograms: each is three, `_bucket`, `_sum` and `_count`. */
  readonly simple: readonly Family[];

  private constructor(text: string, type: string | null) {
    this.text = text;
    this.type = type;
    this.families = parse(text) as readonly Family[];
    this.simple = parse(text.replace(/^# TYPE \w+ histogram$/gm, '')) as readonly Family[];
  }

  static async of(url: string): Promise<Scrape> {
    const response = await fetch(`${url}/metrics`);
    if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
    return new Scrape(await response.text(), response.headers.get('content-type'));
  }

  /** The names and labels of all series. */
  get series(): readonly string[] {
    return this.simple.flatMap(({ name, metrics }) =>
      metrics.map(({ labels = {} }) => `${name}${JSON.stringify(labels)}`),
    );
  }

  /** The names of a metric's labels, as far as it has series. */
  labelsOf(name: string): readonly string[] {
    const [first] = this.#metricsOf(name);
    return Object.keys(first?.labels ?? {});
  }

  /** The sum of the series with these labels. */
  value(name: string, labels: Labels = {}): number {
    if (!this.text.includes(name)) throw new Error(`no metric "${name}"`);
    const matching = this.#metricsOf(name).filter((each) =>
      Object.entries(labels).every(([label, value]) => each.labels?.[label] === value),
    );
    return matching.reduce((sum, { value }) => sum + Number(value), 0);
  }

  /** All gauges of the server itself, by series. */
  get gauges(): Readonly<Record<string, string>> {
    const own = this.families.filter(({ name, type }) => type === 'GAUGE' && name.startsWith('waggle_'));
    return Object.fromEntries(
      own.flatMap(({ name, metrics }) =>
        metrics.map(({ labels = {}, value }) => [`${name}${JSON.stringify(labels)}`, value]),
      ),
    );
  }

  /** What is not typed may come in several places. */
  #metricsOf(name: string): Family['metrics'] {
    return this.simple.filter((each) => each.name === name).flatMap(({ metrics }) => metrics);
  }
}
