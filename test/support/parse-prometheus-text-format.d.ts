declare module 'parse-prometheus-text-format' {
  /** Gives one object for each metric. */
  export default function parse(text: string): unknown;
}
