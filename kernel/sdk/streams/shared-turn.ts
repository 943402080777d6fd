/** The turn of a reply in a conversation that other processes share. */
export interface SharedTurn {
  /** Tells how many replies are before it, now where there are any, and whenever that changes while there are. */
  onAhead(listener: (ahead: number) => void): void;
  /** Resolves once it is the first; undefined where it is already. @throws ENGINE_UNAVAILABLE, TASK_CANCELLED once it has left */
  wait(): Promise<void> | undefined;
  /** Its reply has ended. The agent may need a moment longer, which is bounded. */
  ended(): void;
  /** Its agent has stopped, or was never asked. Later calls do nothing. */
  leave(): void;
}
