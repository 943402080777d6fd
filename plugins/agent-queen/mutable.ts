/** An object that is built step by step: spreads of what may be absent cost a copy each. */
export type Mutable<T> = { -readonly [K in keyof T]: T[K] };
