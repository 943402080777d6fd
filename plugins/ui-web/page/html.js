import htm from 'htm';
import { h } from 'preact';

/** Elements from a template: no markup is parsed, so what a value holds is only ever text. */
export const html = htm.bind(h);
