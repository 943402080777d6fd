/** A service that may stand on an engine that several servers share, such as Redis. */
export interface EngineUser {
  /** Commands sent to the engine since the start, by name; undefined without an engine. */
  readonly engineCommands?: Readonly<Record<string, number>> | undefined;
}
