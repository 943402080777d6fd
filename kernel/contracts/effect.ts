/** Reverses one thing a plugin did. Safe to call twice. */
export type Undo = () => void | Promise<void>;

/** One registration or resource of a plugin: `{ kind: 'route', name: 'GET /x', label: 'GET /x' }`. */
export interface Effect {
  readonly kind: string;
  readonly name: string;
  /** The text for people, in reports and messages. */
  readonly label: string;
}

/** An effect to be. The label is `kind name` when absent; a text alone is the label of an effect of the kind `other`. */
export type EffectName = string | (Omit<Effect, 'label'> & Partial<Effect>);
